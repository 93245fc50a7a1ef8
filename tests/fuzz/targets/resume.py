"""What goes on with a recorded run: a resumed search, a promotion, a sync, a searcher's saved state."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from raynas.config import validated
from raynas.engine.searcher import TuneSearcher
from raynas.events import recorded_config
from raynas.journal import FILE_NAME, Journal
from raynas.promote import prepare_promotion
from raynas.run import Run
from raynas.search_config import SearchConfig, resumed_config
from tests.fuzz.mutate import json_bytes
from tests.fuzz.seeds import STRATEGIES, bombs, journal_lines
from tests.fuzz.targets.journal import mutated_journal
from tests.fuzz.trial import Attempt


def start(folder: Path, bomb: Path) -> Attempt:
    run_folder = folder / "run"
    run_folder.mkdir()
    seeds = [journal_lines(run_folder / FILE_NAME, strategy=strategy) for strategy in STRATEGIES]

    def attempt(rng: random.Random) -> None:
        lines = rng.choice(seeds)
        choice = rng.randrange(4)
        if choice == 3:
            _restore(rng, lines, folder / "state.json")
            return
        (run_folder / FILE_NAME).write_bytes(mutated_journal(rng, lines, bombs(bomb)))
        if choice == 2:
            prepare_promotion(run_folder, out=folder / "promotion", top=3)
        else:
            _resume(run_folder, {"children": 9} if choice else {})

    return attempt


def _resume(folder: Path, overrides: dict[str, Any]) -> None:
    """As `raynas search --resume` and, up to MLflow, `raynas sync` do."""
    journal, events = Journal.reopen(folder / FILE_NAME)
    with journal:
        config = resumed_config(recorded_config(events), overrides)
        space = config.make_space()
        run = Run(
            space,
            config.make_strategy(space),
            num_children=config.children,
            seed=config.seed,
            limits=config.limits,
            measure=lambda _: _Small(),
            reuses=config.equal_cells == "reuse",
        )
        run.replay(events)
        assert run.num_finished <= len(events)
        run.next_child(max_refusals=3)
        assert validated(SearchConfig, config.model_dump(mode="json")) == config


class _Small:
    parameters = mult_adds = activations = 1


def _restore(rng: random.Random, lines: list[dict[str, Any]], path: Path) -> None:
    """As Ray Tune does with a searcher's saved state."""
    config = validated(SearchConfig, lines[0]["config"])
    events = [line for line in lines if line["kind"] in ("proposed", "finished")]
    path.write_bytes(json_bytes(rng, {"children": {"trial": 4}, "events": events}))
    space = config.make_space()
    searcher = TuneSearcher(Run(space, config.make_strategy(space), seed=config.seed))
    searcher.restore(str(path))
    assert searcher.suggest("next")
