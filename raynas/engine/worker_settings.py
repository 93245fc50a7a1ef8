"""What the workers of a pool are started with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raynas.child import TrainChild
from raynas.engine.attempts import TimeLimit

if TYPE_CHECKING:
    from raynas.data import ImageSplit
    from raynas.training.device import Placement

TrainerFactory = Callable[["Placement", "ImageSplit | None"], TrainChild]
"""Called once in each worker; what it returns trains one child after another."""


@dataclass(frozen=True)
class WorkerSettings:
    """What every worker of a group is started with."""

    queue_name: str
    group: str
    factory: TrainerFactory
    num_threads: int
    gpus: float
    per_child: int
    time_limit: TimeLimit | None
    checkpoint_epochs: int
