"""Continuing a recorded run: resuming with or without a snapshot, promotion, sync, and a searcher's state."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from pydantic import TypeAdapter

from raynas.config import validated
from raynas.engine.searcher import TuneSearcher
from raynas.files import JOURNAL_FILE
from raynas.programs.promote import prepare_promotion
from raynas.programs.search.config import SearchConfig, resumed_search_config
from raynas.programs.search.snapshots import SNAPSHOT_FILE as SNAPSHOT
from raynas.programs.search.snapshots import Snapshots, arrays_sha256
from raynas.run.events import Event
from raynas.run.journal import Journal
from raynas.run.recorded import RecordedRun
from raynas.run.run import Run
from tests.fuzz.mutate import json_bytes, mutated_bytes
from tests.fuzz.seeds import STRATEGIES, bombs, journal_lines
from tests.fuzz.targets.journal import mutated_journal
from tests.fuzz.trial import Attempt


def start(folder: Path, bomb: Path) -> Attempt:
    run_folder = folder / "run"
    run_folder.mkdir()
    seeds = [journal_lines(run_folder / JOURNAL_FILE, strategy=strategy) for strategy in STRATEGIES]

    arrays = _learned(seeds[1])

    def attempt(rng: random.Random) -> None:
        lines = rng.choice(seeds)
        choice = rng.randrange(5)
        if choice == 3:
            _restore(rng, lines, folder / "state.json")
            return
        (run_folder / JOURNAL_FILE).write_bytes(mutated_journal(rng, lines, bombs(bomb)))
        (run_folder / SNAPSHOT).unlink(missing_ok=True)
        if choice == 4:
            _write_snapshot(rng, run_folder, arrays, lines, bombs(bomb))
        if choice == 2:
            prepare_promotion(run_folder, out=folder / "promotion", top=3)
        else:
            _resume(run_folder, {"children": 9} if choice else {})

    return attempt


def _learned(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The arrays that the strategy of this journal has learned."""
    events = [TypeAdapter[Event](Event).validate_python(line) for line in lines]
    config = validated(SearchConfig, RecordedRun(Path(), events).config)
    space = config.make_space()
    run = Run(space, config.make_strategy(space), seed=config.seed)
    run.replay(events)
    learned = run.strategy.learned()
    assert learned is not None
    return dict(learned)


def _write_snapshot(
    rng: random.Random, folder: Path, arrays: dict[str, Any], lines: list[dict[str, Any]], others: list[bytes]
) -> None:
    """Writes a snapshot of the mutated journal or of the seed: intact, damaged, or with wrong arrays."""
    journal = folder / JOURNAL_FILE
    if rng.random() < 0.7:
        journal.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    changed = dict(arrays)
    name = rng.choice(list(changed))
    if rng.random() < 0.7:
        changed[name] = rng.choice(
            (changed[name][:1], changed[name].astype("f2"), changed[name] * 1e30, changed[name] * np.nan)
        )
    metadata = {
        "journal_bytes": str(journal.stat().st_size),
        "journal_sha256": hashlib.sha256(journal.read_bytes()).hexdigest(),
        "arrays_sha256": arrays_sha256(changed),
    }
    content = safetensors.numpy.save(changed, metadata)
    if rng.random() < 0.3:
        content = mutated_bytes(rng, content, others)
    (folder / SNAPSHOT).write_bytes(content)


def _resume(folder: Path, overrides: dict[str, Any]) -> None:
    """Does what `raynas search --resume` does, and `raynas sync` except for MLflow."""
    journal, events = Journal.reopen(folder / JOURNAL_FILE)
    with journal:
        config = resumed_search_config(RecordedRun(folder, events).config, overrides)
        space = config.make_space()
        strategy = config.make_strategy(space)
        kept = Snapshots(strategy, journal.path)
        run = Run(
            space,
            strategy,
            num_children=config.children,
            seed=config.seed,
            limits=config.limits,
            measure=lambda _: _Small(),
            reuses=config.equal_cells == "reuse",
            listeners=[kept],
        )
        kept.recall()
        run.replay(events)
        assert run.num_finished <= len(events)
        run.next_child(max_refusals=3)
        assert validated(SearchConfig, config.model_dump(mode="json")) == config


class _Small:
    parameters = mult_adds = activations = 1


def _restore(rng: random.Random, lines: list[dict[str, Any]], path: Path) -> None:
    """Restores a searcher's saved state, as Ray Tune does."""
    config = validated(SearchConfig, lines[0]["config"])
    events = [line for line in lines if line["kind"] in ("proposed", "finished")]
    path.write_bytes(json_bytes(rng, {"children": {"trial": 4}, "events": events}))
    space = config.make_space()
    searcher = TuneSearcher(Run(space, config.make_strategy(space), seed=config.seed))
    searcher.restore(str(path))
    assert searcher.suggest("next")
