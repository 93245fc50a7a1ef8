"""What is known of each child, and the interface of those who want to be told of it. Pure Python."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from raynas.child import Child, ChildResult, EpochReport
from raynas.run.events import Event, Finished, Interrupted, Proposed, Resumed
from raynas.strategies.rewards.reward import Outcome


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """What the journal says of one child; `result` is None until it is finished."""

    proposed: Proposed
    finished: Finished | None = None
    is_interrupted: bool = False
    """Whether its driver ended before it did, and no other has resumed the run."""

    @property
    def id(self) -> int:
        """The child's number, which is its proposal's."""
        return self.proposed.child

    @property
    def is_infeasible(self) -> bool:
        """Whether it was refused because it is beyond the limits."""
        return self.finished is not None and self.finished.result.status == "infeasible"

    @property
    def result(self) -> ChildResult | None:
        """How the child ended; None until it is finished."""
        return self.finished.result if self.finished else None

    @property
    def reward(self) -> float | None:
        """What the strategy observed; None until the child is finished, and if it has no score."""
        return self.finished.reward if self.finished else None

    @property
    def outcome(self) -> Outcome | None:
        """What a reward sees of it; None until it is finished."""
        return outcome_of(self.proposed, self.finished.result) if self.finished else None


def outcome_of(proposed: Proposed, result: ChildResult) -> Outcome:
    """What a reward sees of a child that ended with `result`."""
    return Outcome(result, proposed.parameters, proposed.mult_adds, proposed.activations)


class RunListener:
    """Gets called when something happens in a run, in order: the terminal's table, the MLflow tracker, ...

    Every method does nothing here, so that a listener overrides what it needs.
    """

    def noted(self, text: str) -> None:
        """There is something about the run that the user should know, a sentence."""

    def replayed(self) -> None:
        """All calls until now were for events of earlier drivers. What comes is new."""

    def child_proposed(self, record: ChildRecord, child: Child) -> None:
        """A child goes to the queue."""

    def epoch_reported(self, record: ChildRecord, report: EpochReport) -> None:
        """A running child has trained one more epoch."""

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        """A child ended and is in the journal."""

    def child_refused(self, record: ChildRecord) -> None:
        """A proposal was beyond the limits, and the journal has it.

        If its size is, this is the only call for it. If its latency is, `child_proposed` was called before,
        and `child_finished` won't be.
        """

    def policy_updated(self, statistics: dict[str, float]) -> None:
        """The strategy has completed an update."""


def records_of(events: Iterable[Event]) -> dict[int, ChildRecord]:
    """The children in a journal by their ids, in the order in which they were proposed."""
    records: dict[int, ChildRecord] = {}
    interrupted: tuple[int, ...] = ()
    for event in events:
        if isinstance(event, Proposed):
            records[event.child] = ChildRecord(event)
        # A journal that was changed by hand is shown as far as it makes sense; a resume checks it strictly
        # (state.py).
        elif isinstance(event, Finished) and event.child in records:
            records[event.child] = replace(records[event.child], finished=event)
        elif isinstance(event, Interrupted):
            interrupted = event.children
        # A resume hands them out again, so only what the last driver left behind is interrupted.
        elif isinstance(event, Resumed):
            interrupted = ()
    for child in interrupted:
        if child in records and records[child].finished is None:
            records[child] = replace(records[child], is_interrupted=True)
    return records
