"""Tune's schedulers that stop children early, built from their config."""

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
    if config.name == "median":
        return MedianStopping(grace_epochs=config.grace_epochs, min_children=config.min_children)
    return ASHAScheduler(
        time_attr="epoch",
        metric="accuracy",
        mode="max",
        # ASHA refuses a grace period beyond its last epoch; here it only means that no child is stopped.
        max_t=max(epochs, config.grace_epochs),
        grace_period=config.grace_epochs,
        reduction_factor=config.reduction_factor,
    )


@dataclass(slots=True)
class _Curve:
    """What a running child has reported so far."""

    best: float
    total: float = 0.0
    """Sum of the accuracies reported since the end of the grace period."""
    num_reports: int = 0
    """Number of them."""


class MedianStopping(MedianStoppingRule):
    """Tune's median stopping rule, at a cost per report that doesn't grow with the number of ended children.

    A child is stopped at an epoch where its best accuracy is below the median of the other children's mean
    accuracies up to that epoch. Tune's own class keeps every report and computes all means again at each new
    one; here each mean is computed once. Reports without an accuracy are ignored.
    Source: Golovin et al. 2017 (Google Vizier), section 3.2.1.
    """

    def __init__(self, *, grace_epochs: int, min_children: int) -> None:
        super().__init__(
            time_attr="epoch",
            metric="accuracy",
            mode="max",
            grace_period=grace_epochs,
            min_samples_required=min_children,
        )
        self._curves: dict[str, _Curve] = {}
        self._means: defaultdict[int, list[float]] = defaultdict(list)
        """Mean accuracies of all children that reported an epoch, by epoch, ascending."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """CONTINUE, or STOP for a child that is below the median at this epoch."""
        epoch, accuracy = result.get(self._time_attr), result.get(self._metric)  # type: ignore[arg-type]
        if epoch is None or accuracy is None:
            return str(TrialScheduler.CONTINUE)
        curve = self._curves.setdefault(trial.trial_id, _Curve(accuracy))
        curve.best = max(curve.best, accuracy)
        if epoch < self._grace_period:
            return str(TrialScheduler.CONTINUE)
        curve.total += accuracy
        curve.num_reports += 1
        others = self._means[epoch]
        # Before the child's own mean is added, because it is compared with the others.
        is_worse = len(others) >= self._min_samples_required and curve.best < _median(others)
        bisect.insort(others, curve.total / curve.num_reports)
        return str(TrialScheduler.STOP if is_worse else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Forgets the child's curve; its means stay, for the others to be compared with."""
        self._curves.pop(trial.trial_id, None)


def _median(ascending: list[float]) -> float:
    middle = len(ascending) // 2
    return ascending[middle] if len(ascending) % 2 else (ascending[middle - 1] + ascending[middle]) / 2
