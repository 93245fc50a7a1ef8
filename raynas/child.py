"""A child network as data: what is asked for, what it reports per epoch, what came of it. Pure Python."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

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


class Sized(Protocol):
    """What a network costs for one image, such as raynas.nn.Complexity, or an event that holds it; None is
    unknown.
    """

    @property
    def parameters(self) -> int | None: ...
    @property
    def mult_adds(self) -> int | None: ...
    @property
    def activations(self) -> int | None: ...


class LimitsConfig(FrozenModel):
    """What a child's network may have at most; None: as much as it likes.

    A proposal beyond a limit is not trained, teaches the strategy nothing, and is not one of the `children`.
    """

    parameters: int | None = Field(None, ge=1)
    """Weights, norms included; without the auxiliary head, here and below."""
    mult_adds: int | None = Field(None, ge=1)
    """Multiply-adds of convolutions and linear layers, for one image; 600,000,000 is the papers' mobile
    setting.
    """
    activations: int | None = Field(None, ge=1)
    """Numbers that convolutions give out, for one image."""
    latency_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Milliseconds of a forward pass; measured in the child's worker before it is trained, as `latency`
    says.
    """

    @property
    def bounds_size(self) -> bool:
        """Whether there is a limit that is known to be kept before a worker sees the child."""
        return any(limit is not None for limit in (self.parameters, self.mult_adds, self.activations))

    def excess_latency(self, latency_ms: float) -> str:
        """As `excess`, of what was measured."""
        if self.latency_ms is None or latency_ms <= self.latency_ms:
            return ""
        return f"latency_ms {latency_ms:.4g} > limits.latency_ms {self.latency_ms:g}"

    def excess(self, size: Sized) -> str:
        """How `size` is beyond the limits; empty if it is within."""
        return ", ".join(
            f"{name} {value:,} > limits.{name} {limit:,}"
            for name, limit, value in self.compared(size)
            if value > limit
        )

    def compared(self, size: Sized) -> list[tuple[str, int, int]]:
        """Name, limit and value, where both are known."""
        rows = (
            ("parameters", self.parameters, size.parameters),
            ("mult_adds", self.mult_adds, size.mult_adds),
            ("activations", self.activations, size.activations),
        )
        return [
            (name, limit, value) for name, limit, value in rows if limit is not None and value is not None
        ]


NO_LIMITS = LimitsConfig()
