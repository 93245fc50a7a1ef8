"""Between the workers of a final training and its driver: an actor on the head node."""

from __future__ import annotations

import asyncio

from raynas.errors import RaynasError
from raynas.training.final_config import EpochSummary, Summary


class Mailbox:
    """What workers tell the driver: how training goes, and an error that would only come again."""

    def __init__(self) -> None:
        self.summaries: list[Summary] = []
        self.epochs_done = 0
        self.error: RaynasError | None = None
        self._news = asyncio.Condition()
        self._stop = asyncio.Event()

    async def put(self, summary: Summary) -> None:
        # Epochs that are trained again after a failure are told once.
        if summary.epoch <= self.epochs_done:
            return
        if isinstance(summary, EpochSummary):
            self.epochs_done = summary.epoch
        self.summaries.append(summary)
        async with self._news:
            self._news.notify_all()

    async def after(self, count: int) -> list[Summary]:
        """The summaries beyond the first `count`, as soon as there is one."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.summaries) > count)
        return self.summaries[count:]

    async def rest(self, count: int) -> list[Summary]:
        """The same, but without waiting."""
        return self.summaries[count:]

    async def fail(self, error: RaynasError) -> None:
        self.error = error
        self._stop.set()

    async def failure(self) -> RaynasError | None:
        return self.error

    async def stop(self) -> None:
        self._stop.set()

    async def is_stopped(self) -> bool:
        return self._stop.is_set()

    async def stopped(self) -> None:
        """Answers when training is to end."""
        await self._stop.wait()
