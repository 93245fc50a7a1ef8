"""Reads what a trial of somebody's own Tuner reports. A field may be missing, or be anything at all.

Only the metric counts: a trial that reports one that can't be used has failed. The other fields are left out
where they can't be used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ray.air.constants import TRAINING_ITERATION
from ray.tune.result import AUTO_RESULT_KEYS

from raynas.child import MAX_SECONDS, EpochReport
from raynas.errors import shortened

MAX_EPOCH = 2**31
MAX_KEYS = 10
"""Number of a report's keys that a message lists."""


class TrialReports:
    """The reports of one trial, in order.

    Args:
        metric: key of the accuracy in a report.
    """

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.problem = ""
        """Why its child has failed, as far as the reports say; empty if they are sound."""
        self._epoch = 0
        self._iteration = 0

    def read(self, result: Mapping[str, Any]) -> EpochReport | None:
        """A report as an epoch of the child.

        Returns:
            None if the report was read before, lacks the metric, or has one that can't be used, as `problem`
            then says.
        """
        iteration = _whole(result.get(TRAINING_ITERATION))
        # Tune passes a trial's last report twice, and those of a trial that starts again once more.
        if iteration is not None and iteration <= self._iteration:
            return None
        self._iteration = iteration or self._iteration
        value = result.get(self.metric)
        if value is None:
            return None
        accuracy = _number(value)
        if accuracy is None or not 0.0 <= accuracy <= 1.0:
            self.problem = self.problem or self._unusable(value, accuracy)
            return None
        # Epochs may be counted from 0, or several reports made in one epoch.
        self._epoch = max(_whole(result.get("epoch")) or 0, self._epoch + 1)
        return EpochReport(
            epoch=self._epoch,
            accuracy=accuracy,
            train_loss=_loss(result.get("train_loss")),
            seconds=_seconds(result.get("seconds"), result.get("time_total_s")),
        )

    def check_end(self, result: Mapping[str, Any]) -> None:
        """Sets `problem` if no report had the metric; `result` is the last one."""
        if self._epoch or self.problem:
            return
        found = [key for key in result if key not in AUTO_RESULT_KEYS and not key.startswith("config/")]
        listed = f"; the last one has {', '.join(found[:MAX_KEYS])}" if found else ""
        self.problem = (
            f"it ended without a report of {self.metric!r}{listed}. "
            "TuneSearcher(metric=...) names the key of the accuracy."
        )

    def _unusable(self, value: object, number: float | None) -> str:
        shown = f"it reported {self.metric} = {shortened(repr(value), 80)}"
        # A value just above 1 is more likely a fraction that was computed wrongly than a percentage.
        if number is not None and 1.1 < number <= 100.0:
            return (
                f"{shown}, which looks like a percentage. The accuracy must be a fraction from 0 to 1: "
                f"report {number / 100:g}."
            )
        return f"{shown}. The accuracy must be a number from 0 to 1."


def _number(value: object) -> float | None:
    """A Python, NumPy or torch scalar as a float; None for anything else, also for text and truth values."""
    try:
        plain = value.item() if hasattr(value, "item") else value
        # float would take True as 1.0 and '0.5' as a number, but neither is a measured accuracy.
        if isinstance(plain, bool | str | bytes | bytearray):
            return None
        return float(plain)  # type: ignore[arg-type]
    # A tensor of several elements raises RuntimeError, an array of several ValueError, a huge int
    # OverflowError.
    except (TypeError, ValueError, ArithmeticError, RuntimeError):
        return None


def _whole(value: object) -> int | None:
    """A positive whole number, or None."""
    number = _number(value)
    is_whole = number is not None and 1 <= number < MAX_EPOCH and number == math.floor(number)
    return int(number) if number is not None and is_whole else None


def _loss(value: object) -> float:
    number = _number(value)
    return math.nan if number is None else number


def _seconds(*values: object) -> float:
    """The first of `values` that is a time; 0 if none is."""
    numbers = [_number(value) for value in values]
    return next((n for n in numbers if n is not None and 0.0 <= n <= MAX_SECONDS), 0.0)
