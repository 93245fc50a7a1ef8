"""A search in a process that can be killed, with stand-ins for training and for the pool."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from benchmarks.chaos.kills import Kill, arm
from raynas.child import Child, ChildResult, EpochReport
from raynas.data import load_split
from raynas.engine.attempts import ChildUpdate
from raynas.engine.pool import ChildPool
from raynas.engine.tuning import tune_run
from raynas.files import JOURNAL_FILE
from raynas.programs.search.open_run import open_run
from raynas.programs.search.prepare import PreparedSearch, prepare_search
from raynas.strategies.ppo import PPO
from raynas.strategies.strategy import Strategy

STRATEGY_FILE = "strategy.json"
OPERATIONS = ["identity", "conv_1x1", "sep_conv_3x3", "max_pool_3x3"]
OPTIONS = {
    "ppo": {"name": "ppo", "batch_size": 5, "hidden_units": 16, "learning_rate": 0.05},
    "random": {"name": "random"},
}


@dataclass(frozen=True)
class Settings:
    """Settings of one search."""

    children: int
    seed: int
    strategy: str
    workers: int


def stand_in(child: Child) -> ChildResult:
    """The result of a child: a function of its cell alone, so that equal cells score the same. A tenth
    fail."""
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
    """Stands in for a ChildPool, with threads as workers."""

    def __init__(self, num_workers: int) -> None:
        self.num_slots = num_workers
        self._waiting: queue.SimpleQueue[Child] = queue.SimpleQueue()
        self._updates: queue.SimpleQueue[ChildUpdate] = queue.SimpleQueue()
        for _ in range(num_workers):
            threading.Thread(target=self._work, daemon=True).start()

    def check(self) -> None: ...

    def begin(self) -> None: ...

    def stop(self, child_id: int) -> None:
        raise AssertionError("without a scheduler, no child is stopped")

    def submit(self, child: Child) -> None:
        self._waiting.put(child)

    def updates(self, timeout: float) -> list[ChildUpdate]:
        try:
            updates = [self._updates.get(timeout=timeout) if timeout else self._updates.get_nowait()]
        except queue.Empty:
            return []
        while not self._updates.empty():
            updates.append(self._updates.get())
        return updates

    def _work(self) -> None:
        while True:
            child = self._waiting.get()
            result = stand_in(child)
            time.sleep(result.seconds / 200)
            for report in result.curve:
                self._updates.put(ChildUpdate(child.id, report, None))
            self._updates.put(ChildUpdate(child.id, None, result))


def prepare(folder: Path, settings: Settings) -> PreparedSearch:
    """Prepares the search in `folder`, new or resumed. Its space is small, so that cells repeat."""
    if (folder / JOURNAL_FILE).exists():
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
            # A reused score comes at once, before or after the result of the child in training. With PPO and
            # one worker that would be the only thing left to chance, so cells are trained again there.
            "equal_cells": "retrain" if settings.workers == 1 else "reuse",
            "data": {"train_images": 64, "validation_images": 32},
        },
    )


def drive(folder: Path, settings: Settings, kill: Kill | None) -> None:
    """Runs a driver, which ends when the search is complete or it is killed."""
    # A store that the environment names, for other programs, must not get the runs of this one.
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    if kill is not None:
        arm(kill)
    search = prepare(folder, settings)
    split = load_split(search.config.data, seed=search.config.seed)
    with open_run(search, split, num_slots=settings.workers) as (run, _):
        tune_run(run, cast(ChildPool, StandInPool(settings.workers)))
    (folder / STRATEGY_FILE).write_text(json.dumps(fingerprint(run.strategy)))


def fingerprint(strategy: Strategy) -> dict[str, Any]:
    """The state that a strategy has learned, and its next proposal."""
    learned: dict[str, Any] = {"next": strategy.propose().actions}
    if isinstance(strategy, PPO):
        state = strategy.controller.state_dict(), strategy.optimizer.state_dict(), strategy._batch
        learned["sha256"] = hashlib.sha256(repr(_plain(state)).encode()).hexdigest()
        learned |= {"baseline": strategy.baseline, "policy_version": strategy.policy_version}
    return cast(dict[str, Any], json.loads(json.dumps(learned)))


def _plain(value: Any) -> Any:
    """The value with its tensors as bytes, so that its repr shows every bit."""
    if hasattr(value, "detach"):
        return value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return [(key, _plain(below)) for key, below in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(below) for below in value]
    return repr(value)
