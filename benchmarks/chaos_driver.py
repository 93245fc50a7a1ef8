"""A search whose driver is killed with SIGKILL again and again, and one that is left alone: `make chaos`.

    python -m benchmarks.chaos_driver --kills 25 --children 150 --seed 0 --out build/chaos

Everything is as in a search (run, journal, Tune's controller, PPO, the tracker with MLflow on SQLite), but
for the pool: its workers are threads of the driver, and a child's result is a function of the child. They die
with the driver, as a pool's workers do; what a real pool leaves behind is tests/ray/test_ray_resume.py's.

Where a driver dies is drawn from the seed: at one of its writes to the journal (before it, in the middle of
the line, after it), at one of its requests to MLflow, before or after the strategy learns, or from outside,
wherever it happens to be. With one worker results come back in one order, so the whole run has to be the same
bit by bit, with the controller's weights. With several workers and PPO the order differs from run to run, and
the next proposals with it: then the weights must be those of a run that was never killed and had the same
events, and with the random strategy, which does not learn, the children and their rewards must be the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import queue
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mlflow import MlflowClient

from raynas.child import Child, ChildResult, EpochReport
from raynas.data import load_split
from raynas.engine.pool import ChildPool
from raynas.engine.queue import News
from raynas.engine.tuning import tune_run
from raynas.journal import FILE_NAME, Event, Finished, Journal, Proposed, Started, read_events
from raynas.open_run import PreparedSearch, opened
from raynas.run import Run
from raynas.run_folder import default_store
from raynas.search import prepare_search
from raynas.strategies.ppo import PPO
from raynas.strategy import Strategy

PRELOADED = [
    "raynas.search",
    "raynas.strategies.ppo",
    "mlflow.store.tracking.sqlalchemy_store",
    "raynas.data.digits",
    "raynas.draw",
    "search_spaces.nasnet",
]
"""What a driver imports, once for all of them."""
STRATEGY_FILE = "strategy.json"
PLACES = ("journal", "mlflow", "strategy", "outside")
MOMENTS = ("before", "within", "after")
OPERATIONS = ["identity", "conv_1x1", "sep_conv_3x3", "max_pool_3x3"]
OPTIONS = {
    "ppo": {"name": "ppo", "batch_size": 5, "hidden_units": 16, "learning_rate": 0.05},
    "random": {"name": "random"},
}


@dataclass(frozen=True)
class Settings:
    """Of one search."""

    children: int
    seed: int
    strategy: str
    workers: int


@dataclass(frozen=True)
class Kill:
    """Where a driver dies."""

    place: str
    count: int
    """Of the calls there; 'outside': hundredths of a second since it began to write."""
    moment: str

    def __str__(self) -> str:
        return f"{self.place} {self.count} {self.moment}"


def stand_in(child: Child) -> ChildResult:
    """What comes of a child: a function of its cell, whoever of two equal ones is trained. A tenth fail."""
    digest = hashlib.sha256(child.arch_id.encode()).digest()
    value = int.from_bytes(digest[:4], "big") / 2**32
    if value < 0.1:
        return ChildResult(status="failed", reason="the loss became nan in epoch 1", seconds=value)
    curve = tuple(
        EpochReport(epoch=epoch, accuracy=value * epoch / 2, train_loss=1 / epoch, seconds=epoch * value)
        for epoch in (1, 2)
    )
    return ChildResult(status="completed", accuracy=value, curve=curve, seconds=2 * value)


class StandInPool:
    """A ChildPool's place, with threads for workers."""

    def __init__(self, num_workers: int) -> None:
        self.num_slots = num_workers
        self._waiting: queue.SimpleQueue[Child] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        for _ in range(num_workers):
            threading.Thread(target=self._work, daemon=True).start()

    def check(self) -> None: ...

    def begin(self) -> None: ...

    def stop(self, child_id: int) -> None:
        raise AssertionError("no scheduler is set, so nobody stops a child")

    def submit(self, child: Child) -> None:
        self._waiting.put(child)

    def news(self, timeout: float) -> list[News]:
        try:
            news = [self._news.get(timeout=timeout) if timeout else self._news.get_nowait()]
        except queue.Empty:
            return []
        while not self._news.empty():
            news.append(self._news.get())
        return news

    def _work(self) -> None:
        while True:
            child = self._waiting.get()
            result = stand_in(child)
            time.sleep(result.seconds / 200)
            for report in result.curve:
                self._news.put(News(child.id, report, None))
            self._news.put(News(child.id, None, result))


def prepare(folder: Path, settings: Settings) -> PreparedSearch:
    """The search in `folder`, new or resumed; its space is small, so that cells come again."""
    if (folder / FILE_NAME).exists():
        return prepare_search(out=folder, resume=True)
    return prepare_search(
        out=folder,
        space="nasnet",
        children=settings.children,
        seed=settings.seed,
        settings={
            "space": {"num_blocks": 1, "operations": OPERATIONS},
            "strategy": OPTIONS[settings.strategy],
            "network": {"filters": 4},
            "limits": {"parameters": 4200},
            # A score that is reused comes at once, before or after one that is just being made: with PPO and
            # one worker that would be the only thing left to chance.
            "equal_cells": "retrain" if settings.workers == 1 else "reuse",
            "data": {"train_images": 64, "validation_images": 32},
        },
    )


def drive(folder: Path, settings: Settings, kill: Kill | None) -> None:
    """A driver's life; ends by itself when the search is complete."""
    # Whatever else is told to this process, or to those that it is started from, is not meant for it.
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    if kill is not None:
        arm(kill)
    search = prepare(folder, settings)
    split = load_split(search.config.data, seed=search.config.seed)
    with opened(search, split, num_slots=settings.workers) as (run, _):
        tune_run(run, cast(ChildPool, StandInPool(settings.workers)))
    (folder / STRATEGY_FILE).write_text(json.dumps(fingerprint(run.strategy)))


def fingerprint(strategy: Strategy) -> dict[str, Any]:
    """All that a strategy has learned, and what it would propose next."""
    learned: dict[str, Any] = {"next": strategy.propose().actions}
    if isinstance(strategy, PPO):
        state = strategy.controller.state_dict(), strategy.optimizer.state_dict(), strategy._batch
        learned["sha256"] = hashlib.sha256(repr(_plain(state)).encode()).hexdigest()
        learned |= {"baseline": strategy.baseline, "policy_version": strategy.policy_version}
    return cast(dict[str, Any], json.loads(json.dumps(learned)))


def _plain(value: Any) -> Any:
    """Tensors as their bytes."""
    if hasattr(value, "detach"):
        return value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return [(key, _plain(below)) for key, below in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(below) for below in value]
    return repr(value)


def arm(kill: Kill) -> None:
    """Has this process kill itself there."""
    if kill.place == "journal":
        _arm(Journal, ("_write",), kill, within=_write_half)
    elif kill.place == "mlflow":
        _arm(MlflowClient, ("create_run", "log_batch", "set_terminated"), kill)
    elif kill.place == "strategy":
        _arm(Strategy, ("observe",), kill)


def _write_half(journal: Journal, line: bytes) -> None:
    journal._file.write(line[: len(line) // 2])


def _arm(cls: type, names: Iterable[str], kill: Kill, within: Callable[..., object] | None = None) -> None:
    left = [kill.count]

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **words: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and kill.moment != "after":
                if kill.moment == "within" and within is not None:
                    within(*args, **words)
                _die()
            result = method(*args, **words)
            if left[0] == 0:
                _die()
            return result

        return call

    for name in names:
        setattr(cls, name, dying(getattr(cls, name)))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    # The signal may take a moment, in which nothing more is to happen.
    threading.Event().wait()


def draw_kill(rng: random.Random, children_left: int, kills_left: int) -> Kill:
    """Early enough that children are left for the kills to come."""
    share = 1.5 * children_left / (kills_left + 1)
    place = rng.choice(PLACES)
    # A child is two lines, one reward, four requests, and one to two hundredths of a second.
    calls = {"journal": 2, "mlflow": 4, "strategy": 1, "outside": 1}[place]
    return Kill(place, rng.randint(1, max(int(calls * share), 1)), rng.choice(MOMENTS))


def life(folder: Path, settings: Settings, kill: Kill | None) -> int | None:
    """One driver from its start to its end; its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    before = _size(folder)
    driver = context.Process(target=drive, args=(folder, settings, kill))
    driver.start()
    if kill is not None and kill.place == "outside":
        while driver.is_alive() and _size(folder) == before:
            driver.join(0.005)
        driver.join(kill.count / 100)
        driver.kill()
    driver.join()
    return driver.exitcode


def _size(folder: Path) -> int:
    return (folder / FILE_NAME).stat().st_size if (folder / FILE_NAME).exists() else 0


def torment(folder: Path, settings: Settings, num_kills: int) -> list[Kill]:
    """Kills the drivers of one search at drawn places, then lets it end; the places."""
    rng = random.Random(settings.seed)
    kills: list[Kill] = []
    # A driver that is through before its kill comes is no kill.
    while len(kills) < num_kills:
        kill = draw_kill(rng, settings.children - num_finished(folder), num_kills - len(kills))
        code = life(folder, settings, kill)
        if code == -signal.SIGKILL:
            kills.append(kill)
        elif code != 0:
            raise AssertionError(f"a driver that was to die at {kill} ended with {code}")
        elif num_finished(folder) >= settings.children:
            break
    assert life(folder, settings, None) == 0
    return kills


def num_finished(folder: Path) -> int:
    if not (folder / FILE_NAME).exists():
        return 0
    ends = [event for event in read_events(folder / FILE_NAME) if isinstance(event, Finished)]
    return sum(event.result.status != "infeasible" for event in ends)


def check_journal(folder: Path, settings: Settings) -> list[Event]:
    """Each child was proposed once and ended once, and replaying it gives what the last driver knew."""
    events = read_events(folder / FILE_NAME)
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


def check_mlflow(folder: Path, events: list[Event]) -> None:
    """One parent, FINISHED, and each child once, with its reward, below it."""
    started = events[0]
    assert isinstance(started, Started)
    client = MlflowClient(f"sqlite:///{default_store(folder).absolute()}")
    experiment = client.get_experiment_by_name("raynas")
    assert experiment is not None
    mine = f"tags.`raynas.run_id` = '{started.run_id}'"
    runs = client.search_runs([experiment.experiment_id], mine, max_results=5000)
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
    """What came of each child, without the moments."""
    proposed = {event.child: event for event in events if isinstance(event, Proposed)}
    return {
        event.child: (proposed[event.child].actions, event.result.status, event.reward, event.reused_from)
        for event in events
        if isinstance(event, Finished)
    }


def scores(events: Iterable[Event]) -> dict[int, tuple[Any, ...]]:
    """The same, but for who was first of two equal cells."""
    return {child: (actions, reward) for child, (actions, _, reward, _) in outcome(events).items()}


def chaos(out: Path, settings: Settings, num_kills: int) -> list[Kill]:
    """Torments one search and checks all that is promised of it; the kills."""
    name = f"{settings.strategy}-{settings.workers}"
    disturbed, quiet = out / f"{name}-killed", out / f"{name}-undisturbed"
    kills = torment(disturbed, settings, num_kills)
    events = check_journal(disturbed, settings)
    check_mlflow(disturbed, events)
    if settings.workers > 1 and settings.strategy != "random":
        return kills
    assert life(quiet, settings, None) == 0
    undisturbed = check_journal(quiet, settings)
    check_mlflow(quiet, undisturbed)
    compare = outcome if settings.workers == 1 else scores
    assert compare(events) == compare(undisturbed)
    if settings.workers == 1:
        learned = [(folder / STRATEGY_FILE).read_text() for folder in (disturbed, quiet)]
        assert learned[0] == learned[1]
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--children", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/chaos"))
    arguments = parser.parse_args()
    if arguments.out.exists():
        sys.exit(f"{arguments.out} is there already: give another --out, or remove it")
    print("| strategy | workers | children | kills | of them at the journal, MLflow, the strategy, outside |")
    print("|---|---|---|---|---|", flush=True)
    for strategy, workers in (("ppo", 1), ("random", 4), ("ppo", 4)):
        settings = Settings(arguments.children, arguments.seed, strategy, workers)
        kills = chaos(arguments.out, settings, arguments.kills)
        places = Counter(kill.place for kill in kills)
        counts = ", ".join(str(places[place]) for place in PLACES)
        print(f"| {strategy} | {workers} | {arguments.children} | {len(kills)} | {counts} |", flush=True)
        if len(kills) < arguments.kills:
            sys.exit("the search was through before its last kill: give more --children")


if __name__ == "__main__":
    main()
