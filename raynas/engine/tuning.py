"""Runs a search: a Run's children through Ray Tune to a ChildPool and back."""

from __future__ import annotations

from ray.tune.schedulers import TrialScheduler

from raynas.engine.pool import ChildPool
from raynas.engine.searcher import TuneSearcher
from raynas.engine.tune_controller import SearchController
from raynas.run.interruption import check as check_signals
from raynas.run.interruption import held
from raynas.run.run import Run


def num_prefetched(num_slots: int) -> int:
    """Children queued beyond the running ones, so that a free worker finds its next child waiting.

    One for every four, as few as will do: a child waits with a policy that others may have improved.
    """
    return max(-(-num_slots // 4), 1)


def tune_run(run: Run, pool: ChildPool, *, scheduler: TrialScheduler | None = None) -> None:
    """Trains children until the run is complete.

    Raises:
        SearchFailed: the pool lost its workers for good, hardly any child gets a score, nothing that is
            proposed is within the limits, or the journal can't be written; what it holds is intact.
    """
    searcher = TuneSearcher(run)

    def check() -> None:
        pool.check()
        if searcher.failure is not None:
            raise searcher.failure

    pool.begin()
    controller = SearchController(searcher, pool, max_live=0, scheduler=scheduler)
    num_slots = pool.num_slots
    with held():
        while not controller.is_finished():
            check_signals()
            check()
            if pool.num_slots != num_slots:
                num_slots = pool.num_slots
                run.resized(num_slots)
            controller.max_live = num_slots + num_prefetched(num_slots)
            controller.step()
    check()
