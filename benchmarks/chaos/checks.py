"""Checks of the journal and of MLflow after a search with injected faults."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from benchmarks.chaos.search import STRATEGY_FILE, Settings, fingerprint, prepare
from raynas.files import JOURNAL_FILE
from raynas.run.events import Event, Finished, Proposed, Started
from raynas.run.journal import read_events
from raynas.run.run import Run


def num_finished(folder: Path) -> int:
    """Number of children that have finished; infeasible ones, which are never trained, don't count."""
    if not (folder / JOURNAL_FILE).exists():
        return 0
    ends = [event for event in read_events(folder / JOURNAL_FILE) if isinstance(event, Finished)]
    return sum(event.result.status != "infeasible" for event in ends)


def check_journal(folder: Path, settings: Settings) -> list[Event]:
    """Checks that each child was proposed and finished once, and that a replay restores the last driver's
    strategy."""
    events = read_events(folder / JOURNAL_FILE)
    for kind in (Proposed, Finished):
        counts = Counter(event.child for event in events if isinstance(event, kind))
        assert counts == Counter(range(len(counts))), f"{kind.__name__}: {counts}"
    assert num_finished(folder) == settings.children
    config = prepare(folder, settings).config
    run = Run(config.make_space(), config.make_strategy(config.make_space()), seed=config.seed)
    run.replay(events)
    learned = json.loads((folder / STRATEGY_FILE).read_text())
    assert fingerprint(run.strategy) == learned, "the strategy is not that of a run that was never killed"
    return events


def check_mlflow(store: Path, events: list[Event]) -> None:
    """Checks that MLflow has one finished parent run, and each child below it once, with its reward.

    Args:
        store: MLflow's SQLite file.
    """
    started = events[0]
    assert isinstance(started, Started)
    client = MlflowClient(f"sqlite:///{store.absolute()}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    mine = f"tags.`raynas.run_id` = '{started.run_id}'"
    runs = client.search_runs(experiments, mine, max_results=5000)
    parents = [run for run in runs if run.data.tags["raynas.kind"] == "search"]
    assert [parent.info.status for parent in parents] == ["FINISHED"]
    found = sorted(
        (int(run.data.tags["raynas.child"]), run.info.status, run.data.metrics.get("reward"))
        for run in runs
        if run.data.tags["raynas.kind"] == "child"
    )
    expected = sorted(
        (event.child, "FAILED" if event.result.status == "failed" else "FINISHED", event.reward)
        for event in events
        if isinstance(event, Finished) and event.result.status != "infeasible"
    )
    assert found == expected
    points = client.get_metric_history(parents[0].info.run_id, "children_finished")
    assert sorted(point.step for point in points) == list(range(1, len(expected) + 1))


def outcome(events: Iterable[Event]) -> dict[int, tuple[Any, ...]]:
    """Actions, status, reward and reused child of each child, without times."""
    proposed = {event.child: event for event in events if isinstance(event, Proposed)}
    return {
        event.child: (proposed[event.child].actions, event.result.status, event.reward, event.reused_from)
        for event in events
        if isinstance(event, Finished)
    }


def scores(events: Iterable[Event]) -> dict[int, tuple[Any, ...]]:
    """Actions and reward of each child, which don't depend on which of two equal cells was trained first."""
    return {child: (actions, reward) for child, (actions, _, reward, _) in outcome(events).items()}


def exit_with(summary: str, problems: Sequence[str]) -> None:
    """Prints the summary and the problems, and exits; the exit code is 1 if there are any problems."""
    print(f"{summary}; load {os.getloadavg()[0]:.1f}")
    for problem in problems:
        print(f"WRONG: {problem}")
    print(f"{len(problems)} wrong" if problems else "all as it should be")
    sys.exit(1 if problems else 0)
