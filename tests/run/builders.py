"""A run without Ray: a tiny space, results by formula, and a listener that writes down what it hears."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from raynas.child import Child, ChildResult, EpochReport
from raynas.run.events import Finished, Proposed
from raynas.run.journal import Journal
from raynas.run.records import ChildRecord, RunListener
from raynas.run.run import Run
from raynas.strategies.rewards.reward import Outcome, Reward
from raynas.strategies.strategy import make_strategy
from search_spaces.nasnet import NASNetSpace

TINY = NASNetSpace(num_blocks=1, operations=("identity", "conv_1x1"), combiners=("add",))


def make_run(
    *, strategy: str = "random", journal: Journal | None = None, seed: int = 3, **overrides: Any
) -> Run:
    options = {"batch_size": 2, "hidden_units": 4} if strategy == "ppo" else {}
    chosen = make_strategy(strategy, TINY, seed=seed, **options)
    return Run(TINY, chosen, seed=seed, journal=journal, **{"num_children": 4} | overrides)


def report(epoch: int = 1, accuracy: float = 0.5) -> EpochReport:
    return EpochReport(epoch=epoch, accuracy=accuracy, train_loss=1.0, seconds=float(epoch))


def completed(accuracy: float = 0.5) -> ChildResult:
    return ChildResult(status="completed", accuracy=accuracy, curve=(report(1, accuracy),), seconds=1.5)


def failed(reason: str = "boom") -> ChildResult:
    return ChildResult(status="failed", reason=reason, seconds=0.25)


def infeasible(reason: str = "parameters 9 > limits.parameters 8") -> ChildResult:
    return ChildResult(status="infeasible", reason=reason)


def record(
    child: int, result: ChildResult | None = None, *, reward: float | None = None, parameters: int | None = 7
) -> ChildRecord:
    proposed = Proposed(child=child, time=1.0, actions=(0,), arch_id=f"{child:012x}", parameters=parameters)
    if result is None:
        return ChildRecord(proposed)
    return ChildRecord(proposed, Finished(child=child, time=time.time(), reward=reward, result=result))


class Formula(Reward):
    """A function of the accuracy."""

    def __init__(self, formula: Callable[[float], float]) -> None:
        super().__init__()
        self.formula = formula

    def _score(self, outcome: Outcome, accuracy: float) -> float:
        return self.formula(accuracy)


class Diary(RunListener):
    """What happened, in order, as short texts."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def child_proposed(self, record: ChildRecord, child: Child) -> None:
        assert (record.id, record.proposed.arch_id) == (child.id, child.arch_id)
        self.lines.append(f"proposed {child.id}")

    def epoch_reported(self, record: ChildRecord, report: EpochReport) -> None:
        self.lines.append(f"epoch {report.epoch} of {record.id}")

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        assert record.id == child.id
        assert record.result is not None
        self.lines.append(f"finished {child.id} {record.result.status}")

    def child_refused(self, record: ChildRecord) -> None:
        assert record.is_infeasible
        self.lines.append(f"refused {record.id}")

    def policy_updated(self, statistics: dict[str, float]) -> None:
        self.lines.append(f"updated to {statistics['policy_version']:g}")
