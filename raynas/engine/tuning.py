"""Runs a search: a Run's children through Ray Tune to a ChildPool and back."""

from __future__ import annotations

import tempfile

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from raynas.engine.config import SchedulerConfig
from raynas.engine.pool import ChildPool
from raynas.engine.searcher import TuneSearcher
from raynas.engine.trial import TRIAL_RESOURCES, ChildTrial, PoolCallback
from raynas.run import Run

PREFETCH = 0.25
"""Children queued beyond the running ones, as a share of them: a free worker finds its next child waiting.

Each costs a trial process, so a pool below four slots has none.
"""


def build_scheduler(config: SchedulerConfig, epochs: int) -> TrialScheduler | None:
    """Tune's scheduler for children of this many epochs; None trains each to its end."""
    if config.name == "none":
        return None
    return ASHAScheduler(
        time_attr="epoch",
        metric="accuracy",
        mode="max",
        max_t=max(epochs, config.grace_epochs),
        grace_period=config.grace_epochs,
        reduction_factor=config.reduction_factor,
    )


def tune_run(run: Run, pool: ChildPool, *, scheduler: TrialScheduler | None = None) -> None:
    """Trains children until the run is complete.

    Raises:
        SearchFailed: the pool lost its workers for good.
        OSError: the journal can't be written; what it holds is intact.
    """
    searcher = TuneSearcher(run)

    def check() -> None:
        pool.check()
        if searcher.failure is not None:
            raise searcher.failure

    trials = pool.plan.num_slots + int(pool.plan.num_slots * PREFETCH)
    ray.get(pool.queue.begin.remote(min(trials, run.num_unfinished)))
    with tempfile.TemporaryDirectory(prefix="raynas-tune-", ignore_cleanup_errors=True) as scratch:
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(ChildTrial, queue=pool.queue),
                tune.PlacementGroupFactory([TRIAL_RESOURCES]),
            ),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,
                reuse_actors=True,
                max_concurrent_trials=trials,
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=scratch,
                verbose=0,
                callbacks=[PoolCallback(pool.stop, check)],
                failure_config=tune.FailureConfig(max_failures=3),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        tuner.fit()
    check()
