"""How large a child's network may be: what is beyond is refused before it costs anything. Pure Python."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from raynas.config import FrozenModel


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
