"""What is known of each child, and who is told of it. Pure Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from raynas.cells.space import SearchSpace
from raynas.child import Child, ChildResult, EpochReport
from raynas.errors import RunFolderError
from raynas.run.events import Event, Finished, Interrupted, Proposed, Resumed
from raynas.strategies.rewards.reward import Outcome


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """What the journal says of one child; `result` is None until it is finished."""

    proposed: Proposed
    finished: Finished | None = None
    is_interrupted: bool = False
    """Its driver ended before it did, and nobody has taken the run up again."""

    @property
    def id(self) -> int:
        return self.proposed.child

    @property
    def is_infeasible(self) -> bool:
        """Whether it was refused, as beyond the limits."""
        return self.finished is not None and self.finished.result.status == "infeasible"

    @property
    def result(self) -> ChildResult | None:
        return self.finished.result if self.finished else None

    @property
    def reward(self) -> float | None:
        return self.finished.reward if self.finished else None

    @property
    def outcome(self) -> Outcome | None:
        """What rewards see of it; None until it is finished."""
        return outcome_of(self.proposed, self.finished.result) if self.finished else None


def outcome_of(proposed: Proposed, result: ChildResult) -> Outcome:
    """What a reward sees of a child that was proposed so and ended so."""
    return Outcome(result, proposed.parameters, proposed.mult_adds, proposed.activations)


class RunListener:
    """Is told what happens in a run, in order; a view, such as the terminal's table or the MLflow tracker."""

    def noted(self, text: str) -> None:
        """Something about the run that the user should know; a sentence."""

    def replayed(self) -> None:
        """What was told until now are the events of earlier drivers; what comes is new."""

    def child_proposed(self, record: ChildRecord, child: Child) -> None:
        """A child goes to the queue."""

    def epoch_reported(self, record: ChildRecord, report: EpochReport) -> None:
        """A running child said how it does."""

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        """A child ended and is in the journal."""

    def child_refused(self, record: ChildRecord) -> None:
        """A proposal was beyond the limits and is in the journal. Of its size: nothing else is told of it; of
        its latency: it had been handed out, and won't be finished.
        """

    def policy_updated(self, statistics: dict[str, float]) -> None:
        """The strategy learned."""


def records_of(events: Iterable[Event]) -> dict[int, ChildRecord]:
    """The children in a journal by their ids, in the order in which they were proposed."""
    records: dict[int, ChildRecord] = {}
    interrupted: tuple[int, ...] = ()
    for event in events:
        if isinstance(event, Proposed):
            records[event.child] = ChildRecord(event)
        elif isinstance(event, Finished) and event.child in records:
            records[event.child] = replace(records[event.child], finished=event)
        elif isinstance(event, Interrupted):
            interrupted = event.children
        elif isinstance(event, Resumed):
            interrupted = ()
    for child in interrupted:
        if child in records and records[child].finished is None:
            records[child] = replace(records[child], is_interrupted=True)
    return records


def check_proposed(event: Proposed, space: SearchSpace, records: Mapping[int, ChildRecord]) -> None:
    """RunFolderError if this proposal can't follow these children."""
    try:
        genotype = space.decode(event.actions)
    except ValueError as error:
        raise RunFolderError(f"the journal's child {event.child} is not from this space: {error}.") from error
    if genotype.arch_id != event.arch_id or event.child in records:
        raise RunFolderError(
            f"the journal's child {event.child} is there twice, or its actions don't describe "
            f"its arch_id {event.arch_id}."
        )


def check_finished(event: Finished, records: Mapping[int, ChildRecord]) -> None:
    """RunFolderError if this end can't follow these children."""
    if event.child not in records or records[event.child].finished is not None:
        raise RunFolderError(f"the journal finishes child {event.child} twice or before it is proposed.")
    if event.reused_from is None:
        return
    source = records.get(event.reused_from)
    if source is None or source.proposed.arch_id != records[event.child].proposed.arch_id:
        raise RunFolderError(
            f"the journal's child {event.child} has the score of child {event.reused_from}, which is not "
            "there or of another architecture."
        )
