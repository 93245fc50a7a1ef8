"""Which columns of a table are which. Pure Python."""

from __future__ import annotations

from pydantic import Field

from raynas.config import FrozenModel


class Columns(FrozenModel):
    """Names of the columns of a table that has one row per trained architecture."""

    arch_column: str = "arch"
    """Architecture: as its space's authors write it, as a genotype's JSON, or as an arch_id."""
    signal: str
    """Accuracy that the search sees, as fractions or percent; the best child has the highest."""
    result: str
    """Accuracy by which the search is judged; looked up once, for the best child."""
    cost: str
    """Seconds of training."""
    cost_scale: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Factor on the seconds, such as 0.06 if the signal is from 12 epochs and the cost from 200."""
