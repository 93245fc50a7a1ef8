"""A child network as data: what is to be trained, what it reports per epoch, how it ended. Pure Python."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import Field

from raynas.cells.genotype import Genotype
from raynas.config import AnyFloat, FrozenModel

MAX_SECONDS = 1e10
"""Three hundred years. A longer time in a journal is no training's and is refused."""


@dataclass(frozen=True, slots=True)
class Child:
    """An architecture that is trained briefly in order to be scored."""

    id: int
    genotype: Genotype
    arch_id: str
    seed: int
    """Fixes the initialisation and the batches."""


def child_seed(seed: int, child_id: int) -> int:
    """31 bits that depend on the search's seed and the child's number alone, in every process."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{child_id}".encode()).digest()[:4], "big") >> 1


class EpochReport(FrozenModel):
    """What a child reports after each epoch."""

    epoch: int = Field(ge=1)
    accuracy: float = Field(ge=0, le=1)
    """Fraction of the validation images that were classified correctly."""
    train_loss: AnyFloat
    """Mean cross-entropy over the epoch's steps, with the natural logarithm."""
    seconds: float = Field(ge=0, le=MAX_SECONDS)
    """Time since the child's training began."""


class ChildResult(FrozenModel):
    """How a child ended."""

    status: Literal["completed", "stopped", "failed", "infeasible"]
    """'stopped' means early, by a scheduler; 'failed' has a reason and no score; 'infeasible' exceeded a
    limit, of size or of the latency that its worker measured, and was never trained.
    """
    accuracy: float | None = Field(None, ge=0, le=1)
    """Accuracy after the last epoch; None for a failed or infeasible child."""
    curve: tuple[EpochReport, ...] = ()
    seconds: float = Field(0.0, ge=0, le=MAX_SECONDS)
    """Time on the worker, building the network included."""
    latency_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Milliseconds of a forward pass, measured as the config's `latency` says; None if not measured."""
    reason: str = ""


Report = Callable[[EpochReport], None]
ShouldStop = Callable[[], bool]
TrainChild = Callable[[Child, Report, ShouldStop], ChildResult]


class Sized(Protocol):
    """The cost of a network for one image, as of raynas.nn.Complexity or of an event; None means unknown."""

    @property
    def parameters(self) -> int | None: ...
    @property
    def mult_adds(self) -> int | None: ...
    @property
    def activations(self) -> int | None: ...


class LimitsConfig(FrozenModel):
    """Upper limits for a child's network; None means no limit.

    A proposal that exceeds a limit is not trained, gives the strategy no reward, and does not count as one of
    the `children`.
    """

    parameters: int | None = Field(None, ge=1)
    """Number of weights, including those of norms; the auxiliary head is not counted, here and below."""
    mult_adds: int | None = Field(None, ge=1)
    """Multiply-adds of convolutions and linear layers for one image; 600,000,000 is the mobile setting of the
    papers.
    """
    activations: int | None = Field(None, ge=1)
    """Number of values that the convolutions output for one image."""
    latency_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Milliseconds of a forward pass, measured in the child's worker before the training."""

    @property
    def bounds_size(self) -> bool:
        """Whether there is a limit that can be checked before a worker gets the child."""
        return any(limit is not None for limit in (self.parameters, self.mult_adds, self.activations))

    def excess_latency(self, latency_ms: float) -> str:
        """How a measured latency exceeds the limit; empty if it doesn't."""
        if self.latency_ms is None or latency_ms <= self.latency_ms:
            return ""
        return f"latency_ms {latency_ms:.4g} > limits.latency_ms {self.latency_ms:g}"

    def excess(self, size: Sized) -> str:
        """How `size` exceeds the limits, for a message; empty if it doesn't."""
        return ", ".join(
            f"{name} {value:,} > limits.{name} {limit:,}"
            for name, limit, value in self.compared(size)
            if value > limit
        )

    def compared(self, size: Sized) -> list[tuple[str, int, int]]:
        """Name, limit and value wherever both are known."""
        rows = (
            ("parameters", self.parameters, size.parameters),
            ("mult_adds", self.mult_adds, size.mult_adds),
            ("activations", self.activations, size.activations),
        )
        return [
            (name, limit, value) for name, limit, value in rows if limit is not None and value is not None
        ]


NO_LIMITS = LimitsConfig()
