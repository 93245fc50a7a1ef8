"""A child network as data: what is asked for, what it reports per epoch, what came of it. Pure Python."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from raynas.cells.genotype import Genotype
from raynas.config import AnyFloat, FrozenModel

MAX_SECONDS = 1e10
"""Three hundred years: more is no time that a training took."""


@dataclass(frozen=True, slots=True)
class Child:
    """An architecture to be trained briefly in order to be scored; `seed` fixes its initialisation and
    batches.
    """

    id: int
    genotype: Genotype
    arch_id: str
    seed: int


def child_seed(seed: int, child_id: int) -> int:
    """31 bits from the search's seed and the child's number; equal in every process."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{child_id}".encode()).digest()[:4], "big") >> 1


class EpochReport(FrozenModel):
    """What a child says after each epoch."""

    epoch: int = Field(ge=1)
    accuracy: float = Field(ge=0, le=1)
    """Share of the held-out validation images classified rightly."""
    train_loss: AnyFloat
    """Mean over the epoch's steps; natural logarithm."""
    seconds: float = Field(ge=0, le=MAX_SECONDS)
    """Since the child's training began."""


class ChildResult(FrozenModel):
    """How a child ended."""

    status: Literal["completed", "stopped", "failed", "infeasible"]
    """'stopped' is early, by a scheduler; 'failed' has no score, and a reason; 'infeasible' was beyond a
    limit, of size or of the latency that its worker measured, and never trained.
    """
    accuracy: float | None = Field(None, ge=0, le=1)
    """After the last epoch; None for a failed or infeasible child."""
    curve: tuple[EpochReport, ...] = ()
    seconds: float = Field(0.0, ge=0, le=MAX_SECONDS)
    """Time on the worker, building the network included."""
    latency_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Of a forward pass, as the config's `latency` says; None: not measured."""
    reason: str = ""


Report = Callable[[EpochReport], None]
ShouldStop = Callable[[], bool]
TrainChild = Callable[[Child, Report, ShouldStop], ChildResult]
