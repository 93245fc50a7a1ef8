"""Runs a search: passes children from a Run through Ray Tune to a ChildPool, and their results back."""

from __future__ import annotations

from ray.tune.schedulers import TrialScheduler

from raynas.engine.pool import ChildPool
from raynas.engine.searcher import TuneSearcher
from raynas.engine.tune_controller import SearchController
from raynas.run.interruption import check as check_signals
from raynas.run.interruption import held
from raynas.run.run import Run


def num_prefetched(num_slots: int) -> int:
    """Number of children to queue beyond the running ones, so that a worker finds its next child waiting.

    One for every four workers. More would not help, and each waits with a policy that results that come in
    meanwhile would have improved.
    """
    return max(-(-num_slots // 4), 1)


def tune_run(run: Run, pool: ChildPool, *, scheduler: TrialScheduler | None = None) -> None:
    """Trains children until the run is complete. SIGINT and SIGTERM take effect between two steps.

    Raises:
        SearchFailed: the pool lost its workers for good, hardly any child gets a score, nothing that is
            proposed is within the limits, or the journal can't be written; what it holds is intact.
        Interruption: a signal came.
    """
    searcher = TuneSearcher(run)

    def check() -> None:
        pool.check()
        if searcher.failure is not None:
            raise searcher.failure

    pool.begin()
    # Set in the loop below, as it changes with the number of workers.
    controller = SearchController(searcher, pool, max_live=0, scheduler=scheduler)
    num_slots = pool.num_slots
    with held():
        while not controller.is_finished():  # type: ignore[no-untyped-call]
            check_signals()
            check()
            # Recorded, so that `raynas status` counts the workers' use by the number that there was.
            if pool.num_slots != num_slots:
                num_slots = pool.num_slots
                run.resized(num_slots)
            # Set at every step, because nodes, and workers with them, come and go.
            controller.max_live = num_slots + num_prefetched(num_slots)
            controller.step()  # type: ignore[no-untyped-call]
    check()
