"""Messages between the workers of a final training and its driver, in an actor on the head node."""

from __future__ import annotations

import asyncio

from raynas.errors import RaynasError
from raynas.training.final_config import EpochSummary, TrainingSummary


class FinalMailbox:
    """Summaries of the training, an error that no restart would mend, and the driver's request to stop."""

    def __init__(self) -> None:
        self.summaries: list[TrainingSummary] = []
        self.epochs_done = 0
        self.error: RaynasError | None = None
        self._has_new = asyncio.Condition()
        self._stop = asyncio.Event()

    async def put(self, summary: TrainingSummary) -> None:
        """Adds a summary, unless its epoch was reported whole before."""
        # After a failure some epochs are trained again; their summaries are already here.
        if summary.epoch <= self.epochs_done:
            return
        if isinstance(summary, EpochSummary):
            # Only a whole epoch counts: summaries within an epoch that is trained again are reported again.
            self.epochs_done = summary.epoch
        self.summaries.append(summary)
        async with self._has_new:
            self._has_new.notify_all()

    async def after(self, count: int) -> list[TrainingSummary]:
        """The summaries beyond the first `count`, as soon as there is one."""
        async with self._has_new:
            await self._has_new.wait_for(lambda: len(self.summaries) > count)
        # Who asks for those beyond `count` has the others, whose images would pile up here.
        self.summaries[:count] = map(_without_images, self.summaries[:count])
        return self.summaries[count:]

    async def rest(self, count: int) -> list[TrainingSummary]:
        """The summaries beyond the first `count`, at once."""
        return self.summaries[count:]

    async def fail(self, error: RaynasError) -> None:
        """Keeps an error for the driver, and stops all workers."""
        self.error = error
        self._stop.set()

    async def failure(self) -> RaynasError | None:
        """The error that a worker has reported; None if there was none."""
        return self.error

    async def stop(self) -> None:
        """Stops all workers, and those that Ray Train would start in their place."""
        self._stop.set()

    async def is_stopped(self) -> bool:
        """Whether training has to stop; the answer doesn't wait."""
        return self._stop.is_set()

    async def stopped(self) -> None:
        """Returns when training has to stop."""
        await self._stop.wait()


def _without_images(summary: TrainingSummary) -> TrainingSummary:
    return summary.without_images() if isinstance(summary, EpochSummary) else summary
