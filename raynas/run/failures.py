"""Children without a score: why they have none, and when there are so many that a search should end. Pure."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable

from pydantic import Field

from raynas.child import ChildResult, LimitsConfig, Sized
from raynas.config import FrozenModel
from raynas.errors import SearchFailed, shortened

SHORT_REASON_LENGTH = 100
"""Characters."""
NUM_REASONS = 3
"""Number of reasons that a diagnosis names, the most frequent first."""

NO_NUMBER = "its reward was no finite number"

ADVICE_OF_FAILURES = (
    (
        r"out of GPU memory|CUDA out of memory",
        "use a smaller child.batch_size or network.filters, or fewer workers on a GPU (workers.gpus)",
    ),
    (
        r"worker died|out of memory|MemoryError",
        "most likely the machines ran out of memory: use fewer workers, a smaller child.batch_size, or "
        "smaller images (data.image_size)",
    ),
    (
        r"the loss became|no finite numbers|reward was no finite",
        "use a smaller child.learning_rate or child.gradient_clip",
    ),
    (r"time limit|took longer|timed out", "give the children more time, or make them smaller"),
    (
        "",
        "try one child alone (--children 1 --workers 1), and 'raynas doctor' for data, devices and storage",
    ),
)
"""A pattern to find in a reason, and what helps then; the first pattern that is found counts."""
MAX_REFUSALS_IN_A_ROW = 1000
"""Number of refusals in a row after which a search ends. Without this bound, one whose strategy proposes
nothing within the limits would go on for ever.
"""
WAY_OUT = "or with smaller networks (network.filters, network.cells_per_stack)."


class FailuresConfig(FrozenModel):
    """When a search ends because hardly any of its children get a score.

    It looks at the children that were trained by the present driver and ended last. So a search that went
    well for days ends too, once everything fails.
    """

    last: int | None = Field(20, ge=1)
    """Number of children to look at, those that ended last. None means that a search never ends for this."""
    share: float = Field(0.95, gt=0, le=1)
    """Fraction of these children that have no score at least, when the search ends."""


class FailureWatch:
    """Ends a search of whose last children hardly any got a score."""

    def __init__(self, config: FailuresConfig) -> None:
        self.config = config
        self._last: deque[str | None] = deque(maxlen=config.last or 1)
        """Reasons of the last children; None for one with a reward."""

    def child_ended(self, result: ChildResult, reward: float | None) -> None:
        """SearchFailed, with a diagnosis, if the search should end here."""
        if result.status == "infeasible":
            return
        self._last.append(None if reward is not None else result.reason)
        reasons = [reason for reason in self._last if reason is not None]
        # Too few have ended for a verdict.
        if self.config.last is None or len(self._last) < self.config.last:
            return
        if len(reasons) >= self.config.share * self.config.last:
            raise SearchFailed(
                f"{diagnosis(reasons, len(self._last))}\n"
                f"A search ends when so many fail: failures.last = {self.config.last}, failures.share = "
                f"{self.config.share:g}. Resumed with failures.last=null it never does."
            )


def diagnosis(reasons: Iterable[str], num_children: int) -> str:
    """A message about the last `num_children`: why those with `reasons` got no score, and what helps.

    Args:
        reasons: One for each child without a score.
    """
    counts = Counter(short_reason(reason) or NO_NUMBER for reason in reasons)
    lines = [f"{counts.total()} of the last {num_children} children got no score. Why, and what helps:"]
    for reason, count in counts.most_common(NUM_REASONS):
        lines.append(f"  {count} x {reason}\n      {_advice(reason)}")
    return "\n".join(lines)


def short_reason(reason: str) -> str:
    """The first line of a failure's reason, without its place and with N for numbers.

    Failures that differ in an address, a size or an epoch only are counted together.
    """
    # engine/reasons.py ends a reason with the place in the code, which may differ where the cause is the
    # same.
    line = reason.strip().partition("\n")[0].partition(" (in ")[0]
    line = re.sub(r"\b0x[0-9a-fA-F]+|\d+(?:\.\d+)*", "N", printable(line)).strip()
    return shortened(line, SHORT_REASON_LENGTH)


def printable(text: str) -> str:
    """`text` with spaces for all that is not printable, such as a sequence that controls the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def reasons_of(results: Iterable[ChildResult | None]) -> dict[str, int]:
    """How many of the results have failed, by short reason, the most frequent first."""
    failed = [result for result in results if result is not None and result.status == "failed"]
    return dict(Counter(short_reason(result.reason) for result in failed).most_common())


def _advice(reason: str) -> str:
    return next(advice for pattern, advice in ADVICE_OF_FAILURES if re.search(pattern, reason, re.IGNORECASE))


class RefusalWatch:
    """Ends a search in which too many in a row are beyond the limits: proposals in size, children in latency.

    Its methods raise SearchFailed then. The message names the limits and how near the best came.
    """

    def __init__(self, limits: LimitsConfig) -> None:
        self.limits = limits
        self._too_large: list[Sized] = []
        self._too_slow_ms: list[float] = []

    def handed_out(self) -> None:
        """A proposal was within the limits."""
        self._too_large.clear()

    def refused(self, size: Sized) -> None:
        """A proposal was beyond the limits."""
        self._too_large.append(size)
        if len(self._too_large) >= MAX_REFUSALS_IN_A_ROW:
            raise SearchFailed(self._too_large_text())

    def child_ended(self, result: ChildResult) -> None:
        """A worker has sent a child back, which may have been too slow, if its latency was measured."""
        if result.latency_ms is None:
            return
        if result.status != "infeasible":
            self._too_slow_ms.clear()
            return
        self._too_slow_ms.append(result.latency_ms)
        if len(self._too_slow_ms) >= MAX_REFUSALS_IN_A_ROW:
            raise SearchFailed(self._too_slow_text())

    def _too_large_text(self) -> str:
        # One list of (name, limit, value) per proposal; below, the smallest value for each limit.
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
