"""Children that are refused one after the other: when a search should end because all are. Pure Python."""

from __future__ import annotations

from raynas.errors import SearchFailed
from raynas.limits import LimitsConfig, Sized

MAX_REFUSALS_IN_A_ROW = 1000
"""A strategy that proposes nothing else would never come to an end."""

WAY_OUT = "or with smaller networks (network.filters, network.cells_per_stack)."


class RefusalWatch:
    """Counts refusals in a row, of proposals for their size and of children for their latency.

    Its methods raise SearchFailed for too many: with the limits, and how near the best came.
    """

    def __init__(self, limits: LimitsConfig) -> None:
        self.limits = limits
        self._too_large: list[Sized] = []
        self._too_slow_ms: list[float] = []

    def handed_out(self) -> None:
        """A proposal was within the limits."""
        self._too_large.clear()

    def refused(self, size: Sized) -> None:
        """A proposal was beyond them."""
        self._too_large.append(size)
        if len(self._too_large) >= MAX_REFUSALS_IN_A_ROW:
            raise SearchFailed(self._too_large_text())

    def latency_measured(self, latency_ms: float, *, is_refused: bool) -> None:
        if not is_refused:
            self._too_slow_ms.clear()
            return
        self._too_slow_ms.append(latency_ms)
        if len(self._too_slow_ms) >= MAX_REFUSALS_IN_A_ROW:
            raise SearchFailed(self._too_slow_text())

    def _too_large_text(self) -> str:
        found = [self.limits.compared(size) for size in self._too_large]
        smallest = [min(column, key=lambda entry: entry[2]) for column in zip(*found, strict=True)]
        seen = ", ".join(
            f"limits.{name} = {limit:,} (smallest: {value:,})" for name, limit, value in smallest
        )
        return (
            f"{len(found):,} proposals in a row are beyond the limits: {seen}. Start a new search with "
            f"higher limits, {WAY_OUT}"
        )

    def _too_slow_text(self) -> str:
        return (
            f"{len(self._too_slow_ms):,} children in a row are slower than limits.latency_ms = "
            f"{self.limits.latency_ms:g} (fastest: {min(self._too_slow_ms):.4g}). Start a new search with a "
            f"higher limit, {WAY_OUT}"
        )
