"""What happens in a run, as its journal has it: one validated event a line. Pure Python.

A journal opens with `Started`. Then each child is `Proposed` and later `Finished`, while drivers come and go:
`Resumed`, `Interrupted`, and workers: `Resized`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from raynas.child import ChildResult
from raynas.config import FrozenModel

FORMAT = 2
"""Of what is written."""
OLDEST_FORMAT = 1
"""That is read: 1 had no 'interrupted' and 'resized' events, no digest of the images and no scores of other
runs, and is the same otherwise.
"""

Time = Annotated[float, Field(ge=0, lt=253402300800)]
"""Seconds since 1970; up to the year 9999."""

Count = Annotated[int, Field(ge=0, lt=2**63)]


class Driver(FrozenModel):
    """The process that runs a search."""

    host: str
    slots: int = Field(ge=1, lt=2**31)
    """Children that it trains at the same time, until it is `Resized`."""
    machine: str = ""
    """Its processors, memory and GPUs; empty: not known. Workers may be on other machines."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Of Python and packages."""


class Started(FrozenModel):
    """First line: what run this is."""

    kind: Literal["started"] = "started"
    format: int = Field(FORMAT, ge=OLDEST_FORMAT, le=FORMAT, strict=True)
    run_id: str
    raynas: str
    """Version that wrote it."""
    time: Time
    config: dict[str, Any]
    driver: Driver | None = None
    """None: not known, here and below."""
    images: str | None = Field(None, pattern="^[0-9a-f]{16}$")
    """What its children were trained and scored on: ImageSplit.digest. None: not known, or not that alone."""


class Proposed(FrozenModel):
    """A strategy's proposal, which is a child from now on; `child` is the proposal's id."""

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
    """A child's end; the strategy observed `reward`."""

    kind: Literal["finished"] = "finished"
    child: Count
    time: Time
    reward: float | None
    result: ChildResult
    reused_from: Count | None = None
    """The child of the same architecture whose score this is; None: no other of this run."""
    memo: Origin | None = None
    """The child of another run whose score this is; None: of none. Without either it was trained itself."""

    @property
    def is_reused(self) -> bool:
        return self.reused_from is not None or self.memo is not None


class Resumed(FrozenModel):
    """A new driver took over; unfinished children go back to the queue."""

    kind: Literal["resumed"] = "resumed"
    time: Time
    children: int = Field(ge=1, lt=2**31)
    """How many children the run is to have from now on."""
    driver: Driver | None = None


class Interrupted(FrozenModel):
    """The driver ended before the run did, and had the time to say so; one that is killed has not."""

    kind: Literal["interrupted"] = "interrupted"
    time: Time
    reason: str
    """A signal, such as SIGTERM, or what went wrong."""
    children: tuple[Annotated[int, Field(ge=0)], ...]
    """Handed out and not ended: a resume trains them again."""

    @property
    def is_by_signal(self) -> bool:
        return self.reason.startswith("SIG")


class Resized(FrozenModel):
    """The driver has more workers than before, or fewer: nodes came or went."""

    kind: Literal["resized"] = "resized"
    time: Time
    slots: int = Field(ge=0, lt=2**31)
    """Children that it trains at the same time from now on."""


AnyEvent = Started | Proposed | Finished | Resumed | Interrupted | Resized
Event = Annotated[AnyEvent, Field(discriminator="kind")]


def last_of_driver(events: Sequence[Event]) -> Started | Resumed | Interrupted:
    """The last word of a driver about itself."""
    return [event for event in events if isinstance(event, Started | Resumed | Interrupted)][-1]


class Origin(FrozenModel):
    """The run that cells were taken from; MLflow shows what became of them below it."""

    run_id: str
    """As its journal begins."""
    folder: str
    """Where it was then."""
    child: int | None = None
    """Whose cell it is; None: those of several."""
