"""Which columns of a table are which. Pure Python."""

from __future__ import annotations

from pydantic import Field

from raynas.config import FrozenModel


class Columns(FrozenModel):
    """The columns of a table of trained architectures, a row each."""

    arch: str = "arch"
    """The architecture: as its space's authors write it, a genotype's JSON, or an arch_id."""
    signal: str
    """The accuracy that a search sees: fraction or percent; the best child is the one with the highest."""
    result: str
    """The accuracy by which the search is judged, looked at once, for the best child."""
    cost: str
    """Seconds of training."""
    cost_scale: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Factor on the seconds: 0.06 where the signal is of 12 epochs and the cost of 200."""
