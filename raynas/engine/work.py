"""A child on its way through the work queue, and what the driver has yet to hear. Plain asyncio."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from raynas.child import Child, ChildResult, EpochReport

MAX_EVICTIONS = 20
"""A child that has lost its node so often may be what takes the nodes down."""


@dataclass(eq=False)
class Work:
    """One child, and what became of the attempts at it."""

    child: Child
    last_epoch: int = 0
    deaths: int = 0
    """Of workers that trained it."""
    evictions: int = 0
    """Its worker went for another reason than its own, such as with its node."""
    checkpoint: Any = None
    must_stop: asyncio.Event = field(default_factory=asyncio.Event)
    """What its worker watches; it may have to stop before it has ended, and has to when it has."""
    has_ended: bool = False
    is_late: bool = False
    """Beyond its time limit."""
    timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


@dataclass(frozen=True, slots=True)
class News:
    """An epoch's report of a child, or its end."""

    child_id: int
    report: EpochReport | None
    result: ChildResult | None


class Mailbox:
    """News that the driver has not heard yet."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self.has_news = asyncio.Event()

    def put(self, news: News) -> None:
        self.news.append(news)
        self.has_news.set()


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """Of one attempt at a child, in seconds."""

    seconds: float
    grace: float
    """Beyond it, for a child to come to a point where it can stop."""

    def too_slow(self, last_epoch: int) -> str:
        """Why a child that came to the end of this epoch, and then stopped as it was told, has failed."""
        return (
            f"not done within the time limit, after epoch {last_epoch}: workers.time_limit_seconds = "
            f"{self.seconds:g}. Raise it, or lower child.epochs or the size of the network."
        )

    def hung(self, last_epoch: int) -> str:
        """Why a child that did not stop has failed."""
        return (
            f"hung after epoch {last_epoch}: {self.grace:g} s beyond its time limit of {self.seconds:g} s it "
            "had not stopped, and its worker was killed; its log says where it stood. If a step or a "
            "validation takes so long, raise workers.grace_seconds."
        )


def worker_name(group: str, rank: int) -> str:
    """As the queue knows a worker, and as it knows the one that replaces it."""
    return f"{group}, rank {rank}"


def group_of(worker: str) -> str:
    """The group in a `worker_name`."""
    return worker.partition(", ")[0]


def died(deaths: int, reason: str) -> str:
    """Why a child that took so many workers with it has failed."""
    times = {1: "once", 2: "twice"}.get(deaths, f"{deaths} times")
    return f"its worker died {times}{': ' if reason else ''}{reason}"
