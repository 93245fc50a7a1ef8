"""A run: a strategy, its journal, and what is known of each child. Pure Python; the engine calls it.

The order of a child's life: `next_child` (journal: proposed) -> `report` per epoch -> `finish` (journal:
finished, then the strategy observes). A proposal beyond the limits is finished as infeasible at once, or when
its worker has measured its latency, and no child of the run. The strategy's and the reward's state are a
function of the journal's events, and `replay` restores them.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from raynas.cells.genotype import Genotype
from raynas.cells.space import SearchSpace
from raynas.child import NO_LIMITS, Child, ChildResult, EpochReport, LimitsConfig, Sized, child_seed
from raynas.errors import RunFolderError, SearchFailed
from raynas.run.events import Event, Finished, Interrupted, Origin, Proposed, Resized
from raynas.run.failures import FailuresConfig, FailureWatch, RefusalWatch
from raynas.run.journal import Journal
from raynas.run.records import ChildRecord, RunListener, check_finished, check_proposed, outcome_of
from raynas.run.reuse import EqualCells, MemoScore
from raynas.strategies.rewards.accuracy import Accuracy
from raynas.strategies.rewards.reward import Reward
from raynas.strategies.strategy import Proposal, Strategy

Measure = Callable[[Genotype], Sized]


class Run:
    """Hands out children and takes back their results.

    Args:
        num_children: the run is complete when this many have finished, infeasible ones not counted.
        reward: what the strategy observes of a child; None: its accuracy.
        measure: the size of a genotype's network, if known before training.
        limits: of that size, then they need a `measure`, and of the latency that workers measure.
        reuses: a proposal whose architecture was trained before, to its last epoch, gets that score and is
            not trained; one whose architecture is being trained waits for it.
        memo: scores of other runs by arch_id, which count as if they were of this one; they need `reuses`.
        failures: when the run fails because hardly any child gets a score.
        journal: None keeps the run in memory alone.
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
        journal: Journal | None = None,
        listeners: Sequence[RunListener] = (),
    ) -> None:
        if measure is None and limits.bounds_size:
            raise ValueError("A run with limits of size needs `measure`, which tells how large a network is.")
        self.space, self.strategy, self.seed = space, strategy, seed
        self.num_children, self.reward = num_children, reward or Accuracy()
        self.measure, self.limits = measure, limits
        self.journal, self.listeners = journal, list(listeners)
        self.records: dict[int, ChildRecord] = {}
        self.events: list[Proposed | Finished] = []
        self.num_finished = self.num_infeasible = 0
        self._queue: deque[int] = deque()
        self._refusals = RefusalWatch(limits)
        self._curves: dict[int, list[EpochReport]] = {}
        self.reuses, self._equals, self.memo = reuses, EqualCells(), memo or {}
        self._failures = FailureWatch(failures or FailuresConfig(last=None))
        self._is_closed = False

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher; a copy of a run is in memory alone, journal and listeners stay where
        they are.
        """
        return self.__dict__ | {"journal": None, "listeners": []}

    @property
    def is_complete(self) -> bool:
        return self.num_children is not None and self.num_unfinished <= 0

    @property
    def num_unfinished(self) -> int:
        """Children still to come, the running ones among them; of an endless run as many as one likes."""
        return sys.maxsize if self.num_children is None else self.num_children - self.num_finished

    @property
    def has_more(self) -> bool:
        """Whether there is, or will be, another child to hand out."""
        if self._is_closed:
            return False
        # A child that turns out to be too slow makes room for another.
        may_be_refused = self.limits.latency_ms is not None and bool(self._curves)
        return bool(self._queue) or self._equals.is_awaited or self._may_propose or may_be_refused

    @property
    def _may_propose(self) -> bool:
        return self.num_children is None or len(self.records) - self.num_infeasible < self.num_children

    def next_child(self, *, max_refusals: int | None = None) -> Child | None:
        """The next child to train: one that was interrupted, else a new proposal that is within the limits.

        Args:
            max_refusals: and reused scores, in this call; for a caller that can't wait, and comes back while
                the run `has_more`.
        Returns:
            None if all are handed out, or after `max_refusals`.
        Raises:
            SearchFailed: too many proposals in a row are beyond the limits.
        """
        num_refused = 0
        while not self._is_closed and (self._queue or self._may_propose) and num_refused != max_refusals:
            child = self.child(self._queue.popleft()) if self._queue else self._propose()
            # As the journal has it: a killed driver may have left a proposal that it was about to refuse.
            excess = self.limits.excess(self.records[child.id].proposed)
            if excess:
                self._refuse(child.id, excess)
            elif not self._is_reused(child):
                self._hand_out(child)
                return child
            num_refused += 1
        return None

    def report(self, child_id: int, report: EpochReport) -> None:
        """One more epoch of a running child; one that was reported before is ignored."""
        curve = self._curves.get(child_id)
        if curve is None or (curve and report.epoch <= curve[-1].epoch):
            return
        curve.append(report)
        for listener in self.listeners:
            listener.epoch_reported(self.records[child_id], report)

    def finish_as_reported(self, child_id: int, status: Literal["completed", "stopped"]) -> None:
        """Finishes a child with the score of its last report; one that never reported has failed."""
        curve = self._curves.get(child_id, [])
        if curve:
            result = ChildResult(
                status=status, accuracy=curve[-1].accuracy, curve=tuple(curve), seconds=curve[-1].seconds
            )
        else:
            result = ChildResult(status="failed", reason="it ended without a report")
        self.finish(child_id, result)

    def finish(self, child_id: int, result: ChildResult) -> None:
        """A child's end. A second end of the same child changes nothing, nor does any after `close`.

        Raises:
            SearchFailed: it is one of too many without a score, or too slow; the journal has it.
            JournalFailed: it could not be written, and has not ended.
        """
        if self._is_closed or self.records[child_id].finished is not None:
            return
        self._finish(child_id, result)
        is_scored = result.status == "completed"
        arch_id = self.records[child_id].proposed.arch_id
        for waiting in self._equals.ended(child_id, arch_id, is_scored=is_scored):
            if is_scored:
                self._reuse(waiting, child_id)
            else:
                self._queue.append(waiting)
        if result.status != "infeasible":
            diagnosis = self._failures.child_ended(result, self.records[child_id].reward)
            if diagnosis is not None:
                raise SearchFailed(f"{diagnosis}\n{self._failures.rule}")
        if result.latency_ms is not None:
            self._refusals.latency_measured(result.latency_ms, is_refused=result.status == "infeasible")

    def resized(self, num_slots: int) -> None:
        """So many children are trained at the same time from now on."""
        if self.journal is not None:
            self.journal.append(Resized(time=time.time(), slots=num_slots))

    def close(self) -> None:
        """From now on nothing is handed out or taken back: what runs stays unfinished."""
        self._is_closed = True

    def interrupt(self, reason: str) -> None:
        """Closes a run before its end, and writes down which children are interrupted, and why.

        Args:
            reason: a signal, or what went wrong.
        """
        self.close()
        if self.journal is not None:
            children = tuple(sorted(self._curves))
            self.journal.append(Interrupted(time=time.time(), reason=reason, children=children))

    def replay(self, events: Iterable[Event], *, running: Collection[int] = ()) -> None:
        """Takes in the events of an earlier process; what it left unfinished is handed out first.

        Args:
            running: unfinished children that somebody trains already, and that are not handed out again.
        Raises:
            RunFolderError: an event contradicts the space or an earlier event.
        """
        for event in events:
            if isinstance(event, Proposed):
                check_proposed(event, self.space, self.records)
                self._record(event, ChildRecord(event))
                self.strategy.adopt(_proposal(event))
            elif isinstance(event, Finished):
                check_finished(event, self.records)
                self._replay_finished(event)
        for child_id in self.records.keys() & set(running):
            self._equals.owner(child_id, self.records[child_id].proposed.arch_id)
        self._curves.update({child_id: [] for child_id in running})
        self._queue.extend(
            id for id, record in self.records.items() if record.finished is None and id not in running
        )
        for listener in self.listeners:
            listener.replayed()

    def child(self, child_id: int) -> Child:
        """The child as the workers get it."""
        proposed = self.records[child_id].proposed
        return Child(
            child_id, self.space.decode(proposed.actions), proposed.arch_id, child_seed(self.seed, child_id)
        )

    def _is_reused(self, child: Child) -> bool:
        """Whether it is not to be trained: its architecture has a score, or is about to get one."""
        if not self.reuses:
            return False
        owner = self._equals.owner(child.id, child.arch_id)
        if owner == child.id:
            return self._is_remembered(child)
        if self.records[owner].finished is not None:
            self._reuse(child.id, owner)
        else:
            self._equals.wait(child.id, owner)
        return True

    def _is_remembered(self, child: Child) -> bool:
        known = self.memo.get(child.arch_id)
        if known is None or self.reward.missing(outcome_of(self.records[child.id].proposed, known.result)):
            return False
        self._finish(child.id, _untrained(known.result), memo=known.origin)
        return True

    def _reuse(self, child_id: int, owner: int) -> None:
        result = self.records[owner].result
        assert result is not None
        self._finish(child_id, _untrained(result), reused_from=owner)

    def _finish(
        self,
        child_id: int,
        result: ChildResult,
        *,
        reused_from: int | None = None,
        memo: Origin | None = None,
    ) -> None:
        reward = self.reward(outcome_of(self.records[child_id].proposed, result))
        finished = Finished(
            child=child_id, time=time.time(), reward=reward, result=result, reused_from=reused_from, memo=memo
        )
        if self.journal is not None:
            self.journal.append(finished)
        self._curves.pop(child_id, None)
        self._apply_finished(finished)

    def _hand_out(self, child: Child) -> None:
        self._refusals.handed_out()
        self._curves[child.id] = []
        for listener in self.listeners:
            listener.child_proposed(self.records[child.id], child)

    def _refuse(self, child_id: int, excess: str) -> None:
        self.finish(child_id, ChildResult(status="infeasible", reason=excess))
        self._refusals.refused(self.records[child_id].proposed)

    def _propose(self) -> Child:
        proposal = self.strategy.propose()
        genotype = self.space.decode(proposal.actions)
        size = self.measure(genotype) if self.measure else None
        proposed = Proposed(
            child=proposal.id,
            time=time.time(),
            actions=proposal.actions,
            arch_id=genotype.arch_id,
            parameters=size.parameters if size else None,
            mult_adds=size.mult_adds if size else None,
            activations=size.activations if size else None,
            info=dict(proposal.info),
        )
        if self.journal is not None:
            self.journal.append(proposed)
        self._record(proposed, ChildRecord(proposed))
        return Child(proposal.id, genotype, proposed.arch_id, child_seed(self.seed, proposal.id))

    def _record(self, event: Proposed | Finished, record: ChildRecord) -> None:
        self.events.append(event)
        self.records[event.child] = record

    def _replay_finished(self, event: Finished) -> None:
        try:
            self._apply_finished(event)
        except (KeyError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            raise RunFolderError(
                f"the journal's child {event.child} can't be learned from: {error!r}. "
                "The journal was changed by hand, or is from another version of raynas."
            ) from error

    def _apply_finished(self, event: Finished) -> None:
        record = replace(self.records[event.child], finished=event)
        self._record(event, record)
        if record.is_infeasible:
            self.num_infeasible += 1
            for listener in self.listeners:
                listener.child_refused(record)
        else:
            self.num_finished += 1
            self.reward.observe(outcome_of(record.proposed, event.result))
            if event.result.status == "completed":
                self._equals.owner(event.child, record.proposed.arch_id)
            self._tell_finished(record)
        statistics = self.strategy.observe(_proposal(record.proposed), event.reward)
        for listener in self.listeners if statistics else ():
            assert statistics is not None
            listener.policy_updated(statistics)

    def _tell_finished(self, record: ChildRecord) -> None:
        child = self.child(record.id) if self.listeners else None
        for listener in self.listeners:
            assert child is not None
            listener.child_finished(record, child)


def _untrained(result: ChildResult) -> ChildResult:
    """Another's result, for a child that takes no worker's time."""
    return result.model_copy(update={"seconds": 0.0})


def _proposal(event: Proposed) -> Proposal:
    return Proposal(event.child, event.actions, event.info)
