"""Attempts at training a child, and the updates about children that the driver has not fetched yet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from raynas.child import Child, ChildResult, EpochReport

MAX_EVICTIONS = 20
"""How often a child may lose its node or worker group. Beyond that, the child itself may be the cause."""


# Compared by identity: the queue looks attempts up in its deques, where equal fields would mean nothing.
@dataclass(eq=False)
class Attempt:
    """A child in the work queue: the attempt at training it, and what earlier attempts at it left behind."""

    child: Child
    last_epoch: int = 0
    """Last epoch that any attempt reported."""
    deaths: int = 0
    """Number of workers that died while they trained the child."""
    evictions: int = 0
    """Number of times that its worker went for a reason of its own, such as with its node."""
    # What the queue was last asked to save, or None. In the actor it is a reference into Ray's object store.
    checkpoint: Any = None
    must_stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Watched by the worker. Set when the child has to stop, before its end is known, and when it has ended.
    """
    has_ended: bool = False
    is_late: bool = False
    """Whether the time limit has passed."""
    timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        """Stops the timer of the time limit, if one runs."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


@dataclass(frozen=True, slots=True)
class ChildUpdate:
    """A child's report of one epoch, or its result; the other is None."""

    child_id: int
    report: EpochReport | None
    result: ChildResult | None


class Mailbox:
    """Updates that the driver has not fetched yet."""

    def __init__(self) -> None:
        self.updates: list[ChildUpdate] = []
        self.has_updates = asyncio.Event()

    def put(self, update: ChildUpdate) -> None:
        """Adds an update, and wakes the call that waits for one."""
        self.updates.append(update)
        self.has_updates.set()


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """Time limit of one attempt at a child."""

    seconds: float
    grace: float
    """Seconds beyond the limit in which the child has to reach a point where it can stop."""

    def too_slow(self, last_epoch: int) -> str:
        """Reason of failure of a child that stopped when it was asked to."""
        return (
            f"not done within the time limit, after epoch {last_epoch}: workers.time_limit_seconds = "
            f"{self.seconds:g}. Raise it, or lower child.epochs or the size of the network."
        )

    def hung(self, last_epoch: int) -> str:
        """Reason of failure of a child that did not stop when it was asked to."""
        return (
            f"hung after epoch {last_epoch}: {self.grace:g} s beyond its time limit of {self.seconds:g} s it "
            "had not stopped, and its worker was killed; its log says where it stood. If a step or a "
            "validation takes so long, raise workers.grace_seconds."
        )


def worker_name(group: str, rank: int) -> str:
    """The name of a worker in the queue, which the worker that replaces it takes over."""
    return f"{group}, rank {rank}"


def group_of(worker: str) -> str:
    """The group in a `worker_name`."""
    return worker.partition(", ")[0]


def died(deaths: int, reason: str) -> str:
    """Reason of failure of a child whose workers died too often."""
    times = {1: "once", 2: "twice"}.get(deaths, f"{deaths} times")
    return f"its worker died {times}{': ' if reason else ''}{reason}"
