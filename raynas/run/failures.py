"""Children without a score: why, how many, and when they are so many that a search should end. Pure."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable

from pydantic import Field

from raynas.child import ChildResult
from raynas.config import FrozenModel

MAX_REASON_LENGTH = 100
NUM_REASONS = 3
"""That a diagnosis names."""

NO_NUMBER = "its reward was no finite number"

# What a reason says, and what helps; the first that is found counts.
ADVICE = (
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


class FailuresConfig(FrozenModel):
    """When a search ends because hardly any of its children gets a score.

    Counted are the children that were trained by the present driver, and not their beginning: a search that
    went well for days ends as well, once everything fails.
    """

    last: int | None = Field(20, ge=1)
    """So many children, the last that ended, are looked at; None: a search never ends so."""
    share: float = Field(0.95, gt=0, le=1)
    """Of them without a score, at least, when the search ends."""


class FailureWatch:
    """Looks at the last children of a search."""

    def __init__(self, config: FailuresConfig) -> None:
        self.config = config
        self._last: deque[str | None] = deque(maxlen=config.last or 1)

    @property
    def rule(self) -> str:
        """Why that ends a search, and how to have it otherwise."""
        return (
            f"A search ends when so many fail: failures.last = {self.config.last}, failures.share = "
            f"{self.config.share:g}. Resumed with failures.last=null it never does."
        )

    def child_ended(self, result: ChildResult, reward: float | None) -> str | None:
        """A diagnosis, if the search should end here."""
        self._last.append(None if reward is not None else result.reason)
        reasons = [reason for reason in self._last if reason is not None]
        if self.config.last is None or len(self._last) < self.config.last:
            return None
        if len(reasons) < self.config.share * self.config.last:
            return None
        return diagnosis(reasons, len(self._last))


def diagnosis(reasons: Iterable[str], num_children: int) -> str:
    """What to say of `num_children` of which those with reasons got no score: why, and what to do."""
    counts = Counter(short_reason(reason) or NO_NUMBER for reason in reasons)
    lines = [f"{counts.total()} of the last {num_children} children got no score. Why, and what helps:"]
    for reason, count in counts.most_common(NUM_REASONS):
        lines.append(f"  {count} x {reason}\n      {_advice(reason)}")
    return "\n".join(lines)


def short_reason(reason: str) -> str:
    """The first line of a failure's reason without its place and numbers, so that equal failures look
    equal.
    """
    line = reason.strip().partition("\n")[0].partition(" (in ")[0]
    line = re.sub(r"\b0x[0-9a-fA-F]+|\d+(?:\.\d+)*", "N", printable(line)).strip()
    return line if len(line) <= MAX_REASON_LENGTH else line[: MAX_REASON_LENGTH - 3] + "..."


def printable(text: str) -> str:
    """A stranger's text without what would control a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def reasons_of(results: Iterable[ChildResult | None]) -> dict[str, int]:
    """The failed ones by their short reasons, the most frequent first."""
    failed = [result for result in results if result is not None and result.status == "failed"]
    return dict(Counter(short_reason(result.reason) for result in failed).most_common())


def _advice(reason: str) -> str:
    return next(advice for pattern, advice in ADVICE if re.search(pattern, reason, re.IGNORECASE))
