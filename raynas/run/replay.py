"""What a journal's events must be like to be replayed: each fits the space and those before it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from raynas.cells.space import SearchSpace
from raynas.errors import RunFolderError
from raynas.run.events import Finished, Proposed
from raynas.run.records import ChildRecord


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
