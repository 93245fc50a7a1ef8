"""The events of a run, as they stand in its journal: one validated event a line. Pure Python.

A journal opens with `Started`. Then each child is `Proposed` and later `Finished`. Meanwhile drivers come and
go (`Resumed`, `Interrupted`), and so do workers (`Resized`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from raynas.child import ChildResult
from raynas.config import FrozenModel

JOURNAL_FORMAT = 2
"""Format of the journals that are written."""
OLDEST_JOURNAL_FORMAT = 1
"""Oldest format that is read. It had no 'interrupted' and 'resized' events, no digest of the images and no
scores of other runs, and is like format 2 otherwise.
"""

Time = Annotated[float, Field(ge=0, lt=253402300800)]
"""Seconds since 1970; up to the year 9999."""

# Bounded, because a journal may come from a stranger, and NumPy and databases take no larger integers.
Count = Annotated[int, Field(ge=0, lt=2**63)]


class Driver(FrozenModel):
    """The process that runs a search."""

    host: str
    slots: int = Field(ge=1, lt=2**31)
    """Number of children that it trains at the same time, until it is `Resized`."""
    machine: str = ""
    """Processors, memory and GPUs of its machine; empty if not known. Workers may be on other machines."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of Python and packages."""


class Started(FrozenModel):
    """The first line of a journal: which run this is."""

    kind: Literal["started"] = "started"
    format: int = Field(JOURNAL_FORMAT, ge=OLDEST_JOURNAL_FORMAT, le=JOURNAL_FORMAT, strict=True)
    run_id: str
    raynas: str
    """Version of raynas that wrote it."""
    time: Time
    config: dict[str, Any]
    driver: Driver | None = None
    """None means that it is not known, here and below."""
    images: str | None = Field(None, pattern="^[0-9a-f]{16}$")
    """ImageSplit.digest of the images that its children were trained and scored on. None means that they are
    not known, as where a user's own function trains the children.
    """


class Proposed(FrozenModel):
    """A strategy's proposal, from now on a child. Its id is the proposal's."""

    kind: Literal["proposed"] = "proposed"
    child: Count
    time: Time
    actions: tuple[Count, ...]
    arch_id: str = Field(pattern="^[0-9a-f]{12}$")
    parameters: Count | None = None
    mult_adds: Count | None = None
    activations: Count | None = None
    info: dict[str, Any] = Field(default_factory=dict)


class Finished(FrozenModel):
    """The end of a child. The strategy observed `reward`."""

    kind: Literal["finished"] = "finished"
    child: Count
    time: Time
    reward: float | None
    result: ChildResult
    reused_from: Count | None = None
    """Another child of this run, of the same architecture, whose score this is."""
    memo: Origin | None = None
    """A child of another run whose score this is. Without `reused_from` and `memo` the child itself was
    trained.
    """

    @property
    def is_reused(self) -> bool:
        """Whether the score is that of another child, of this run or of another."""
        return self.reused_from is not None or self.memo is not None


class Resumed(FrozenModel):
    """A new driver took over; unfinished children go back to the queue."""

    kind: Literal["resumed"] = "resumed"
    time: Time
    children: int = Field(ge=1, lt=2**31)
    """Number of children that the run is to have from now on."""
    driver: Driver | None = None


class Interrupted(FrozenModel):
    """The driver ended before the run did, and had the time to write so; one that is killed does not."""

    kind: Literal["interrupted"] = "interrupted"
    time: Time
    reason: str
    """A signal, such as SIGTERM, or what went wrong."""
    children: tuple[Annotated[int, Field(ge=0)], ...]
    """Ids of the children that were handed out and had not ended: a resume trains them again."""

    @property
    def is_by_signal(self) -> bool:
        """Whether a signal ended the driver, and no error."""
        return self.reason.startswith("SIG")


class Resized(FrozenModel):
    """The driver has more workers than before, or fewer: nodes came or went."""

    kind: Literal["resized"] = "resized"
    time: Time
    slots: int = Field(ge=0, lt=2**31)
    """Number of children that it trains at the same time from now on."""


AnyEvent = Started | Proposed | Finished | Resumed | Interrupted | Resized
Event = Annotated[AnyEvent, Field(discriminator="kind")]


def last_of_driver(events: Sequence[Event]) -> Started | Resumed | Interrupted:
    """The last event in which a driver wrote of its own beginning or end."""
    # There always is one, as a journal opens with Started.
    return [event for event in events if isinstance(event, Started | Resumed | Interrupted)][-1]


class Origin(FrozenModel):
    """The run that cells were taken from, or the training that weights were. MLflow shows what became of them
    below it.
    """

    run_id: str
    """ID in the first line of its journal, or in its training.json."""
    folder: str
    """Folder in which it lay then."""
    child: int | None = None
    """The child whose cell it is. None means that the cells of several were taken."""
