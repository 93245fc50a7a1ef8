"""Journals of small runs, made without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from raynas.child import ChildResult, EpochReport, LimitsConfig
from raynas.nn import Complexity
from raynas.programs.search.recipes import search_config
from raynas.run.events import Driver, Event, Finished, Proposed, Resumed, Started
from raynas.run.journal import Journal
from raynas.run.run import Run

BEGAN = 1_700_000_000.0
DRIVER = Driver(host="head", slots=2, machine="2 CPUs (quick), 4 GiB memory, Linux", versions={"torch": "2"})
SMALL = {
    "space": {"num_blocks": 2},
    "strategy": {"name": "ppo", "batch_size": 4, "hidden_units": 6},
    "child": {"epochs": 2},
}


def trained(child: int) -> ChildResult:
    """Fails, is stopped or is completed, by its number."""
    if child % 7 == 3:
        return ChildResult(status="failed", reason=f"RuntimeError: boom <b>{child}</b> | x", seconds=5.0)
    accuracy = (child * 37 % 100) / 100
    curve = tuple(EpochReport(epoch=e, accuracy=accuracy / 2 * e, train_loss=1, seconds=e) for e in (1, 2))
    status = "stopped" if child % 5 == 1 else "completed"
    return ChildResult(status=status, accuracy=accuracy, curve=curve, seconds=10.0, latency_ms=1 + child % 4)


def failed(child: int) -> ChildResult:
    return ChildResult(status="failed", reason="the loss became nan in epoch 1", seconds=1.0)


def size_of(genotype: Any) -> Complexity:
    """A size as good as random."""
    number = int(genotype.arch_id[:4], 16)
    return Complexity(number, 10 * number, 7)


def write_journal(
    folder: Path,
    num_children: int,
    *,
    settings: dict[str, Any] | None = None,
    result: Callable[[int], ChildResult] = trained,
    num_unfinished: int = 0,
    limit: int | None = 60_000,
) -> Path:
    """A run of so many children in `folder`, two at a time, the last ones unfinished; a second is a child."""
    config = search_config(settings=SMALL | (settings or {}))
    space = config.make_space()
    recorded = config.model_dump(mode="json") | {"children": num_children}
    started = Started(run_id="r1", raynas="0.1.0", time=BEGAN, config=recorded, driver=DRIVER)
    path = folder / "journal.jsonl"
    run = Run(
        space,
        config.make_strategy(space),
        num_children=num_children,
        reward=config.make_reward(),
        measure=size_of,
        limits=LimitsConfig(parameters=limit),
    )
    while children := [child for child in (run.next_child() for _ in range(2)) if child]:
        for child in reversed(children):
            if run.num_finished < num_children - num_unfinished:
                run.finish(child.id, result(child.id))
    with Journal.create(path, started) as journal:
        for second, event in enumerate(run.events, start=1):
            journal.append(event.model_copy(update={"time": BEGAN + second}))
    return path


def proposed(child: int, **overrides: Any) -> Proposed:
    return Proposed(
        **{"child": child, "time": BEGAN + child, "actions": (0,), "arch_id": f"{child:012x}"} | overrides
    )


def finished(child: int, at: float, accuracy: float | None = 0.5, **overrides: Any) -> Finished:
    result = (
        failed(child) if accuracy is None else ChildResult(status="completed", accuracy=accuracy, seconds=1)
    )
    return Finished(**{"child": child, "time": BEGAN + at, "reward": accuracy, "result": result} | overrides)


def resumed(at: float) -> Resumed:
    return Resumed(time=BEGAN + at, children=9, driver=DRIVER)


def started(config: dict[str, Any] | None = None) -> Event:
    return Started(run_id="r1", raynas="0.1.0", time=BEGAN, config=config or {}, driver=DRIVER)
