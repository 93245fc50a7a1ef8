"""TuneSearcher: any Strategy as a Ray Tune search algorithm.

    tuner = tune.Tuner(train, tune_config=tune.TuneConfig(
        search_alg=TuneSearcher(space="nasnet", strategy="ppo", seed=0, metric="accuracy"), num_samples=100,
        max_concurrent_trials=4))

Each trial's config holds `child` (its number), `arch_id`, `seed` and `genotype` (JSON, for
Genotype.from_json). The strategy maximises `metric` of a trial's last report. It learns nothing from a trial
that ends in an error or reports a metric that can't be used: its child has failed, with a reason in
`searcher.run.records`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError
from ray.tune.search import Searcher

from raynas.cells.space import make_space
from raynas.child import ChildResult, EpochReport
from raynas.config import FrozenModel
from raynas.engine.trial_reports import TrialReports
from raynas.errors import RunFolderError
from raynas.run.events import Finished, Proposed
from raynas.run.run import Run
from raynas.strategies.strategy import make_strategy

logger = logging.getLogger(__name__)

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
        self._reports: dict[str, TrialReports] = {}
        """What the running trials of another tuner have reported."""
        self._has_warned = False

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
            Exception: what went wrong when an earlier trial ended.
        """
        if self.failure is not None:
            raise self.failure
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
        """Takes a report. One that can't be used makes its child a failed one, when the trial ends."""
        if trial_id in self._children:
            self._report(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Ends the trial's child in the run.

        Tune swallows exceptions that are raised here, so one is kept in `failure`, and the run is closed.
        """
        if trial_id not in self._children:
            return
        try:
            self._finish(trial_id, result, error)
        except Exception as failure:
            self.failure = failure
            self.run.close()
        finally:
            del self._children[trial_id]
            self._reports.pop(trial_id, None)

    def _finish(self, trial_id: str, result: dict[str, Any] | None, error: bool) -> None:
        """Finishes a child. A pool's trial has the key CHILD_RESULT, with None if a scheduler ended it; a
        trial of another tuner doesn't have the key.
        """
        child_id = self._children[trial_id]
        if error or result is None:
            reason = "its trial ended in an error" if error else "its trial was dropped before it began"
            self.run.finish(child_id, ChildResult(status="failed", reason=reason))
            return
        if result.get(CHILD_RESULT) is not None:
            self.run.finish(child_id, result[CHILD_RESULT])
            return
        # Tune passes the last report of a trial that it stops only here, and not to on_trial_result.
        self._report(trial_id, result)
        if CHILD_RESULT in result:
            self.run.finish_as_reported(child_id, "stopped")
        else:
            self._finish_foreign(trial_id, result)

    def _finish_foreign(self, trial_id: str, result: dict[str, Any]) -> None:
        """Finishes the child of a trial that another tuner ran to its end."""
        child_id, reports = self._children[trial_id], self._reports[trial_id]
        reports.check_end(result)
        self._warn_of(trial_id, reports.problem)
        if reports.problem:
            self.run.finish(child_id, ChildResult(status="failed", reason=reports.problem))
        else:
            self.run.finish_as_reported(child_id, "completed")

    def _report(self, trial_id: str, result: dict[str, Any]) -> None:
        child_id = self._children[trial_id]
        if CHILD_RESULT in result:
            # A pool's trial may end without a new report, and then its last result has no epoch.
            if "accuracy" in result:
                fields = {name: result[name] for name in EpochReport.model_fields}
                self.run.report(child_id, EpochReport.model_validate(fields))
            return
        reports = self._reports.setdefault(trial_id, TrialReports(self._metric))
        epoch = reports.read(result)
        self._warn_of(trial_id, reports.problem)
        if epoch is not None:
            self.run.report(child_id, epoch)

    def _warn_of(self, trial_id: str, problem: str) -> None:
        """Says why a child has failed. Said once: many trials may have the same fault."""
        if problem and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "Trial %s (child %d) counts as failed: %s The other trials go on. This is said once; "
                "searcher.run.records has the reason of every failed child.",
                trial_id,
                self._children[trial_id],
                problem,
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
        # Tune runs these trials again under the same ids, so their children are not handed out to other
        # trials.
        self.run.replay(state.events, running=self._children.values())
