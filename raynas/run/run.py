"""A run while its driver is at work: it hands out children, takes them back, journals, and tells listeners.

The life of a child::

    next_child()    the strategy proposes it; the journal gets a 'proposed' event
    report(...)     once per epoch
    finish(...)     the reward scores it; the journal gets a 'finished' event; the strategy observes

A proposal beyond the limits is finished as infeasible at once, or after its worker has measured its latency,
and does not count as a child of the run. What strategy and reward know is in state.RunState, a function of
the journal's events, which `replay` restores. What is out, and what waits for it, is known here alone.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from raynas.cells.genotype import Genotype
from raynas.cells.space import SearchSpace
from raynas.child import NO_LIMITS, Child, ChildResult, EpochReport, LimitsConfig, Sized, child_seed
from raynas.registry import naming_own_class
from raynas.run.events import AnyEvent, Event, Finished, Interrupted, Proposed, Resized
from raynas.run.failures import FailuresConfig, FailureWatch, RefusalWatch
from raynas.run.journal import Journal
from raynas.run.records import ChildRecord, RunListener, outcome_of
from raynas.run.reuse import ChildEnd, MemoScore, SharedScores
from raynas.run.state import ChildEvent, RunState, proposed_event
from raynas.run.time_budget import TimeBudget
from raynas.strategies.rewards.accuracy import Accuracy
from raynas.strategies.rewards.reward import Reward
from raynas.strategies.strategy import Strategy

MUST_BE_JSON = "Actions must be whole numbers, and `info` of plain Python values, for the journal."

Measure = Callable[[Genotype], Sized]


class Run:
    """Hands out children and takes back their results.

    Args:
        num_children: Number of children after which the run is complete, infeasible ones not counted. None
            means that it has no end.
        reward: What the strategy observes of a child. Defaults to its accuracy.
        measure: Size of a genotype's network, where it is known before training.
        limits: Limits of that size, which need a `measure`, and of the latency that workers measure.
        reuses: Whether a proposal whose architecture was trained before, to its last epoch, gets that score
            and is not trained. If the architecture is being trained, the proposal waits for its score.
        memo: Scores of other runs by arch_id, which count as if they were of this run. They need `reuses`.
        failures: When the run fails because hardly any child gets a score.
        budget: Hands out no child that would end too late. None means that time doesn't count.
        journal: Where events are written. None means that the run is kept in memory alone.
        listeners: Objects whose methods are called when something happens.
    """

    def __init__(
        self,
        space: SearchSpace,
        strategy: Strategy,
        *,
        num_children: int | None = None,
        seed: int = 0,
        reward: Reward | None = None,
        measure: Measure | None = None,
        limits: LimitsConfig = NO_LIMITS,
        reuses: bool = False,
        memo: Mapping[str, MemoScore] | None = None,
        failures: FailuresConfig | None = None,
        budget: TimeBudget | None = None,
        journal: Journal | None = None,
        listeners: Sequence[RunListener] = (),
    ) -> None:
        if measure is None and limits.bounds_size:
            raise ValueError("A run with limits of size needs `measure`, which tells how large a network is.")
        self.state = RunState(space, strategy, reward or Accuracy())
        self.num_children = num_children
        self.seed = seed
        self.measure = measure
        self.limits = limits
        self.reuses = reuses
        self.budget = budget
        self.journal = journal
        self.listeners = list(listeners)
        self._queue: deque[int] = deque()
        """Children to hand out before anything new is proposed."""
        self._curves: dict[int, list[EpochReport]] = {}
        """Reports of the children that are out, by their ids."""
        self._scores = SharedScores(self.state, memo or {})
        self._refusals = RefusalWatch(limits)
        self._failures = FailureWatch(failures or FailuresConfig(last=None))
        self._is_closed = False

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out journal and listeners: Tune pickles its searcher, and a copy must not write to them."""
        return self.__dict__ | {"journal": None, "listeners": []}

    @property
    def strategy(self) -> Strategy:
        """The strategy, with what it has learned so far."""
        return self.state.strategy

    @property
    def records(self) -> dict[int, ChildRecord]:
        """The children by their ids, infeasible proposals too."""
        return self.state.records

    @property
    def events(self) -> list[ChildEvent]:
        """What has been proposed and what has finished, in order; `replay` of it makes an equal run."""
        return self.state.events

    @property
    def num_finished(self) -> int:
        """Number of children that have ended, without the infeasible ones."""
        return self.state.num_finished

    @property
    def num_infeasible(self) -> int:
        """Number of proposals that were beyond the limits."""
        return self.state.num_infeasible

    @property
    def is_complete(self) -> bool:
        """Whether as many children have ended as the run was to have."""
        return self.num_children is not None and self.num_unfinished <= 0

    @property
    def num_unfinished(self) -> int:
        """Number of children to come, with the running ones; sys.maxsize for a run without an end."""
        return sys.maxsize if self.num_children is None else self.num_children - self.num_finished

    @property
    def is_out_of_time(self) -> bool:
        """Whether no child is handed out any more, because it would end after the budget does."""
        return self.budget is not None and self.budget.is_over

    @property
    def has_more(self) -> bool:
        """Whether there is, or may still be, another child to hand out."""
        if self._is_closed or self.is_out_of_time:
            return False
        # A child that turns out to be too slow is infeasible, and another takes its place.
        may_be_refused = self.limits.latency_ms is not None and bool(self._curves)
        return bool(self._queue) or self._scores.is_awaited or self._may_propose or may_be_refused

    @property
    def _may_hand_out(self) -> bool:
        has_time = self.budget is None or self.budget.allows_another(len(self._curves))
        return not self._is_closed and has_time and (bool(self._queue) or self._may_propose)

    @property
    def _may_propose(self) -> bool:
        # Records count what is out as well as what has ended; otherwise every free worker would get a child
        # too many.
        return self.num_children is None or len(self.records) - self.num_infeasible < self.num_children

    def next_child(self, *, max_refusals: int | None = None) -> Child | None:
        """The next child to train: one that was interrupted, else a new proposal that is within the limits.

        Args:
            max_refusals: Number of refused proposals and reused scores after which this call returns. It is
                for a caller that can't wait, and comes back while the run `has_more`.

        Returns:
            None if all are handed out, if another would end too late, or after `max_refusals`.

        Raises:
            SearchFailed: too many proposals in a row are beyond the limits.
        """
        # Without `max_refusals` there is no limit: no number equals None.
        num_refused = 0
        while self._may_hand_out and num_refused != max_refusals:
            child = self.child(self._queue.popleft()) if self._queue else self._propose()
            # Looked up in the record, and not only after a proposal: a driver that was killed may have left
            # a proposal in the journal that it was about to refuse.
            excess = self.limits.excess(self.records[child.id].proposed)
            if excess:
                self._refuse(child.id, excess)
            elif not self._is_reused(child):
                self._hand_out(child)
                return child
            num_refused += 1
        return None

    def report(self, child_id: int, report: EpochReport) -> None:
        """Takes one more epoch of a running child; one that was reported before is ignored."""
        curve = self._curves.get(child_id)
        # A child whose worker died starts again elsewhere, and reports the epochs that are known already.
        if curve is None or (curve and report.epoch <= curve[-1].epoch):
            return
        curve.append(report)
        for listener in self.listeners:
            listener.epoch_reported(self.records[child_id], report)

    def finish(self, child_id: int, result: ChildResult) -> None:
        """Takes back a child. A second result of a child changes nothing, nor does any after `close`.

        Raises:
            SearchFailed: it is one of too many without a score, or too slow; the journal has it.
            JournalFailed: it could not be written, and does not count as finished.
        """
        if self._is_closed or self.records[child_id].finished is not None:
            return
        if self.budget is not None and result.seconds:
            self.budget.child_ended(result.seconds)
        self._record_end(child_id, ChildEnd(result))
        # After the end is recorded: those that waited take the score from the record.
        self._release_waiting(child_id)
        # Last, as both may raise: by now everything about this end is recorded.
        self._failures.child_ended(result, self.records[child_id].reward)
        self._refusals.child_ended(result)

    def finish_as_reported(self, child_id: int, status: Literal["completed", "stopped"]) -> None:
        """Takes back a child with the score of its last report; one that never reported has failed."""
        curve = self._curves.get(child_id, [])
        if curve:
            result = ChildResult(
                status=status, accuracy=curve[-1].accuracy, curve=tuple(curve), seconds=curve[-1].seconds
            )
        else:
            result = ChildResult(status="failed", reason="it ended without a report")
        self.finish(child_id, result)

    def resized(self, num_slots: int) -> None:
        """Writes down how many children are trained at the same time from now on."""
        if self.budget is not None:
            self.budget.num_slots = num_slots
        self._write(Resized(time=time.time(), slots=num_slots))

    def close(self) -> None:
        """Hands out and takes back nothing from now on; what is running stays unfinished."""
        self._is_closed = True

    def interrupt(self, reason: str) -> None:
        """Closes a run before its end, and writes down which children are interrupted, and why.

        Args:
            reason: Name of a signal, or what went wrong.
        """
        self.close()
        self._write(Interrupted(time=time.time(), reason=reason, children=tuple(sorted(self._curves))))

    def replay(self, events: Iterable[Event], *, running: Collection[int] = ()) -> None:
        """Takes in the events of an earlier process; what it left unfinished is handed out first.

        Args:
            running: Ids of unfinished children that are being trained already, and are not handed out again.

        Raises:
            RunFolderError: an event contradicts the space or an earlier event.
        """
        # Listeners hear of ends only. What was proposed and has not ended is handed out again, and they are
        # told then.
        for event in events:
            if isinstance(event, Proposed):
                self.state.replay(event)
            elif isinstance(event, Finished):
                self._tell_end(event.child, self.state.replay(event))
        # So that equal proposals wait for what is being trained.
        for child_id in self.records.keys() & set(running):
            self._scores.train(child_id, self.records[child_id].proposed.arch_id)
        self._curves.update({child_id: [] for child_id in running})
        self._queue.extend(
            id for id, record in self.records.items() if record.finished is None and id not in running
        )
        for listener in self.listeners:
            listener.replayed()

    def child(self, child_id: int) -> Child:
        """The child as the workers get it."""
        proposed = self.records[child_id].proposed
        genotype = self.state.decode(proposed.actions)
        return Child(child_id, genotype, proposed.arch_id, child_seed(self.seed, child_id))

    def _propose(self) -> Child:
        # The strategy counts the proposal as made from here on. If anything below fails, the run ends, and a
        # resume replays a journal without it.
        proposal, genotype = self.state.propose()
        size = self.measure(genotype) if self.measure else None
        with naming_own_class("propose", self.strategy, note=MUST_BE_JSON):
            proposed = proposed_event(proposal, genotype.arch_id, size)
            # Tried out inside the block: `info` that is no JSON is a fault of the strategy, and is to be
            # reported as that.
            proposed.model_dump_json()
        self._write(proposed)
        self.state.apply(proposed)
        return Child(proposal.id, genotype, proposed.arch_id, child_seed(self.seed, proposal.id))

    def _hand_out(self, child: Child) -> None:
        self._refusals.handed_out()
        self._curves[child.id] = []
        for listener in self.listeners:
            listener.child_proposed(self.records[child.id], child)

    def _refuse(self, child_id: int, excess: str) -> None:
        # Recorded first, because `refused` raises after too many.
        self.finish(child_id, ChildResult(status="infeasible", reason=excess))
        self._refusals.refused(self.records[child_id].proposed)

    def _is_reused(self, child: Child) -> bool:
        """Whether it is not to be trained: its architecture has a score, or is about to get one."""
        if not self.reuses:
            return False
        end = self._scores.find(child)
        if end is not None:
            self._record_end(child.id, end)
            return True
        # The first child of its architecture is trained for all; `trained` is its id.
        trained = self._scores.train(child.id, child.arch_id)
        if trained != child.id:
            self._scores.wait(child.id, trained)
        return trained != child.id

    def _release_waiting(self, child_id: int) -> None:
        waiting, end = self._scores.release(child_id, self.records[child_id].proposed.arch_id)
        for waiting_id in waiting:
            # Without a score of that child, those that waited go back to the queue, and the first of them is
            # trained.
            if end is not None:
                self._record_end(waiting_id, end)
            else:
                self._queue.append(waiting_id)

    def _record_end(self, child_id: int, end: ChildEnd) -> None:
        # A reward may depend on the outcomes before this one, so it is given before the state takes this in.
        reward = self.state.score(outcome_of(self.records[child_id].proposed, end.result))
        finished = Finished(
            child=child_id,
            time=time.time(),
            reward=reward,
            result=end.result,
            reused_from=end.reused_from,
            memo=end.memo,
        )
        self._write(finished)
        self._curves.pop(child_id, None)
        self._tell_end(child_id, self.state.apply(finished))

    def _write(self, event: AnyEvent) -> None:
        """Appends an event to the journal, always before anything is done about it."""
        if self.journal is not None:
            self.journal.append(event)

    def _tell_end(self, child_id: int, statistics: dict[str, float] | None) -> None:
        record = self.records[child_id]
        # Decoding takes time, which a replay of thousands of children without listeners should not cost.
        child = self.child(child_id) if self.listeners and not record.is_infeasible else None
        for listener in self.listeners:
            if child is None:
                listener.child_refused(record)
            else:
                listener.child_finished(record, child)
        if statistics:
            for listener in self.listeners:
                listener.policy_updated(statistics)
