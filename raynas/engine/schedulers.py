"""Tune's schedulers that end children early, from their config."""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule, TrialScheduler

from raynas.engine.config import SchedulerConfig


def build_scheduler(config: SchedulerConfig, epochs: int) -> TrialScheduler | None:
    """Tune's scheduler for children of this many epochs; None trains each to its end."""
    if config.name == "none":
        return None
    words = {"time_attr": "epoch", "metric": "accuracy", "mode": "max", "grace_period": config.grace_epochs}
    if config.name == "median":
        return MedianStopping(min_samples_required=config.min_children, **words)
    return ASHAScheduler(
        max_t=max(epochs, config.grace_epochs), reduction_factor=config.reduction_factor, **words
    )


@dataclass(slots=True)
class _Curve:
    """What a running child has reported, from the end of the grace period."""

    best: float
    total: float = 0.0
    num_reports: int = 0


class MedianStopping(MedianStoppingRule):  # type: ignore[misc]
    """Tune's median stopping rule, at a cost that doesn't grow with the children that have ended.

    A child is stopped at an epoch where its best accuracy is below the median of the other children's mean
    accuracies up to that epoch. Tune's own class keeps every report, and works all means out again at each;
    here each mean is worked out once, and a child without a score counts for nothing.
    Source: Golovin et al. 2017 (Google Vizier), section 3.2.1.
    """

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        self._curves: dict[str, _Curve] = {}
        self._means: defaultdict[int, list[float]] = defaultdict(list)
        """By epoch, ascending."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        epoch, accuracy = result.get(self._time_attr), result.get(self._metric)
        if epoch is None or accuracy is None:
            return str(TrialScheduler.CONTINUE)
        curve = self._curves.setdefault(trial.trial_id, _Curve(accuracy))
        curve.best = max(curve.best, accuracy)
        if epoch < self._grace_period:
            return str(TrialScheduler.CONTINUE)
        curve.total, curve.num_reports = curve.total + accuracy, curve.num_reports + 1
        others = self._means[epoch]
        is_worse = len(others) >= self._min_samples_required and curve.best < _median(others)
        bisect.insort(others, curve.total / curve.num_reports)
        return str(TrialScheduler.STOP if is_worse else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._curves.pop(trial.trial_id, None)


def _median(ascending: list[float]) -> float:
    middle = len(ascending) // 2
    return ascending[middle] if len(ascending) % 2 else (ascending[middle - 1] + ascending[middle]) / 2
