"""journal.jsonl and what is derived from it: leaderboard, status, the best cell of a run."""

from __future__ import annotations

import io
import json
import random
import time
from pathlib import Path
from typing import Any

from raynas.cli.terminal.console import output_console
from raynas.cli.terminal.leaderboard import print_architectures, print_leaderboard
from raynas.cli.terminal.status import print_status, status_json
from raynas.files import JOURNAL_FILE
from raynas.run.leaderboard import render
from raynas.run.lookup import find_cell
from raynas.run.recorded import RecordedRun
from raynas.run.status import status_of
from tests.fuzz.mutate import json_bytes, mutated_bytes
from tests.fuzz.seeds import STRATEGIES, bombs, journal_lines
from tests.fuzz.trial import Attempt


def start(folder: Path, bomb: Path) -> Attempt:
    seeds = [journal_lines(folder / JOURNAL_FILE, strategy=strategy) for strategy in STRATEGIES]

    def attempt(rng: random.Random) -> None:
        (folder / JOURNAL_FILE).write_bytes(mutated_journal(rng, rng.choice(seeds), bombs(bomb)))
        look_at(RecordedRun.read(folder))
        find_cell(None, folder)

    return attempt


def mutated_journal(rng: random.Random, lines: list[dict[str, Any]], others: list[bytes]) -> bytes:
    """A journal with mutated events, with lines lost, doubled or swapped, or with mutated bytes."""
    encoded = [json_bytes(rng, line) if rng.random() < 0.15 else json.dumps(line).encode() for line in lines]
    kind = rng.randrange(6)
    place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    if kind <= 1:
        encoded[place] = json_bytes(rng, lines[place])
    elif kind == 2:
        del encoded[place]
    elif kind == 3:
        encoded.insert(other, encoded[place])
    elif kind == 4:
        encoded[place], encoded[other] = encoded[other], encoded[place]
    data = b"\n".join(encoded) + b"\n"
    return mutated_bytes(rng, data, others) if kind == 5 else data


def look_at(run: RecordedRun) -> None:
    """Does what `raynas leaderboard` and `raynas status` do."""
    console = output_console()
    console.file, console.width = io.StringIO(), 80
    entries = run.entries
    for format in ("json", "csv", "md"):
        render(entries, format)
    print_leaderboard(entries, console, num_infeasible=run.num_infeasible)
    print_architectures(entries, console)
    now = time.time()
    for seen in (run, RecordedRun(run.folder, run.events, "running")):
        found = status_of(seen, now=now)
        print_status(found, run.folder, console, now=now)
        status_json(found, run.folder)
    if run.trade is None:
        rewards = [entry.reward for entry in entries if entry.reward is not None]
        assert rewards == sorted(rewards, reverse=True)
