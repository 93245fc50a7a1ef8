"""A trial: a reused, almost free Tune actor that puts one child on the queue and passes its news on to
Tune.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune.result import DONE

from raynas.child import Child
from raynas.engine.queue import News
from raynas.genotype import Genotype

# On the head node, beside the queue, and free: a trial only waits.
TRIAL_RESOURCES = {"node:__internal_head__": 0.0001}
CHILD_RESULT = "child_result"
"""Key of the ChildResult, as JSON, in a trial's last report; None in the reports before."""


class ChildTrial(tune.Trainable):  # type: ignore[misc]
    """One step is one epoch of the child."""

    def setup(self, config: dict[str, Any], queue: Any = None) -> None:
        self._queue = queue
        self._submit(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._submit(new_config)
        return True

    def step(self) -> dict[str, Any]:
        news: News = ray.get(self._queue.news.remote(self._child_id))
        metrics: dict[str, Any] = {CHILD_RESULT: None} | (news.report.model_dump() if news.report else {})
        if news.result is not None:
            metrics |= {CHILD_RESULT: news.result.model_dump_json(), DONE: True}
        return metrics

    def _submit(self, config: dict[str, Any]) -> None:
        child = Child(
            config["child"], Genotype.from_json(config["genotype"]), config["arch_id"], config["seed"]
        )
        self._child_id = child.id
        ray.get(self._queue.submit.remote(child))


class PoolCallback(tune.Callback):  # type: ignore[misc]
    """Tells the pool when Tune ends a trial, so that a stopped child's worker is free at once.

    Before each of Tune's steps `check` may raise, to end the search where Tune would go on without its
    workers.
    """

    def __init__(self, stop: Callable[[int], None], check: Callable[[], None]) -> None:
        self._stop, self._check = stop, check

    def __reduce__(self) -> Any:
        """Tune pickles its callbacks into a folder; what this one calls lives in this process alone."""
        return tune.Callback, ()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._stop(trial.config["child"])

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._check()
