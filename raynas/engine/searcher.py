"""TuneSearcher: any Strategy as a Ray Tune search algorithm.

    tuner = tune.Tuner(train, tune_config=tune.TuneConfig(
        search_alg=TuneSearcher(space="nasnet", strategy="ppo", seed=0, metric="accuracy"), num_samples=100,
        max_concurrent_trials=4))

Each trial's config holds `child` (its number), `arch_id`, `seed` and `genotype` (JSON, for
Genotype.from_json). The strategy maximises `metric` of a trial's last report. It learns nothing from a trial
that ends in an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError
from ray.tune.search import Searcher

from raynas.cells.space import make_space
from raynas.child import ChildResult, EpochReport
from raynas.config import FrozenModel, validated
from raynas.errors import RunFolderError
from raynas.run.events import Finished, Proposed
from raynas.run.run import Run
from raynas.strategies.strategy import make_strategy

CHILD_RESULT = "child_result"
"""Key of the ChildResult in the last result of a pool's trial; its value is None in the results before."""

MAX_REFUSALS = 20
"""Refused proposals in one `suggest`, a few tenths of a second: Tune handles no results meanwhile."""


class _State(FrozenModel):
    """The saved state of a TuneSearcher."""

    children: dict[str, int]
    """Id of the child of each running trial."""
    events: list[Annotated[Proposed | Finished, Field(discriminator="kind")]]


class TuneSearcher(Searcher):
    """Proposes architectures to Tune and learns from its results.

    Args:
        run: an existing Run, with or without a journal, instead of the next three arguments.
        space, strategy: registered names or 'package.module:ClassName'.
        metric: key of the accuracy, a fraction in [0, 1], in a trial's reports.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        space: str = "nasnet",
        strategy: str = "ppo",
        seed: int = 0,
        metric: str = "accuracy",
    ) -> None:
        super().__init__(metric=metric, mode="max")
        if run is None:
            search_space = make_space(space)
            run = Run(search_space, make_strategy(strategy, search_space, seed=seed), seed=seed)
        self.run = run
        self.failure: Exception | None = None
        self._children: dict[str, int] = {}

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Takes Tune's metric, if it names one. False, which Tune turns into an error, for mode 'min'."""
        self._metric: str = metric or self._metric
        return mode in (None, "max")

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next child as a config, FINISHED, or None if Tune should ask again at its next step.

        Raises:
            SearchFailed: too many proposals in a row are beyond the limits.
        """
        # Refusals are limited only while trials run. Otherwise Tune has nothing else to do, and would sleep a
        # second before it asks again.
        child = self.run.next_child(max_refusals=MAX_REFUSALS if self._children else None)
        if child is None:
            return None if self.run.has_more else str(Searcher.FINISHED)
        self._children[trial_id] = child.id
        return {
            "child": child.id,
            "arch_id": child.arch_id,
            "seed": child.seed,
            "genotype": child.genotype.to_json(),
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if trial_id in self._children and result.get(self._metric) is not None:
            self.run.report(self._children[trial_id], self._epoch_report(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Ends the trial's child in the run.

        Tune swallows exceptions that are raised here, so one is kept in `failure`, and the run is closed.
        """
        child_id = self._children.pop(trial_id, None)
        if child_id is None:
            return
        try:
            self._finish(child_id, result, error)
        except Exception as failure:
            self.failure = failure
            self.run.close()

    def _finish(self, child_id: int, result: dict[str, Any] | None, error: bool) -> None:
        """Finishes a child. A pool's trial has the key CHILD_RESULT, with None if a scheduler ended it; a
        trial of another tuner doesn't have the key.
        """
        if error or result is None:
            reason = "its trial ended in an error" if error else "its trial was dropped before it began"
            self.run.finish(child_id, ChildResult(status="failed", reason=reason))
        elif result.get(CHILD_RESULT) is not None:
            self.run.finish(child_id, result[CHILD_RESULT])
        else:
            # Tune passes the last report of a trial only here, and not to on_trial_result.
            if result.get(self._metric) is not None:
                self.run.report(child_id, self._epoch_report(result))
            self.run.finish_as_reported(child_id, "stopped" if CHILD_RESULT in result else "completed")

    def _epoch_report(self, result: dict[str, Any]) -> EpochReport:
        return validated(
            EpochReport,
            {
                "epoch": result.get("epoch", result.get("training_iteration", 1)),
                "accuracy": result[self._metric],
                "train_loss": result.get("train_loss", float("nan")),
                "seconds": result.get("seconds", result.get("time_total_s", 0.0)),
            },
            where=f"the trial's {self._metric}",
        )

    def save(self, checkpoint_path: str) -> None:
        """Writes the run's events as JSON. Replaying them restores the strategy without unpickling
        anything.
        """
        state = _State(children=self._children, events=self.run.events)
        Path(checkpoint_path).write_text(state.model_dump_json())

    def restore(self, checkpoint_path: str) -> None:
        """Replays the events that `save` wrote. This searcher must be new, with the same space, strategy and
        seed.
        """
        try:
            state = _State.model_validate_json(Path(checkpoint_path).read_bytes())
        except (ValidationError, OSError) as error:
            raise RunFolderError(f"{checkpoint_path} is no state of a TuneSearcher: {error}.") from error
        self._children = dict(state.children)
        self.run.replay(state.events, running=self._children.values())
