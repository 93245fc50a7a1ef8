"""How far a benchmark is: a line for each strategy with its finished seeds and their mean result.

On a terminal the lines change in place. In a pipe or a job's log a strategy gets a line when its last seed is
done, and before that after ten seconds, and then at intervals that double up to ten minutes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from raynas.programs.benchmark import SeedResult

FIRST_SECONDS = 10.0
"""Seconds after which a strategy that isn't done gets its first line."""
MAX_SECONDS = 600.0
"""The longest interval between two lines of a strategy, in seconds."""


class BenchmarkProgress:
    """What is known so far, without showing it.

    Args:
        labels: the strategies, in the order in which they are shown.
    """

    def __init__(self, labels: Sequence[str], num_seeds: int) -> None:
        self.num_seeds = num_seeds
        self._counts = dict.fromkeys(labels, 0)
        self._sums = dict.fromkeys(labels, 0.0)

    @property
    def labels(self) -> list[str]:
        return list(self._counts)

    def count(self, label: str) -> int:
        """Number of finished seeds."""
        return self._counts[label]

    def mean(self, label: str) -> str:
        """Mean result of the finished seeds, to four digits."""
        count = self._counts[label]
        return f"{self._sums[label] / count:.4f}" if count else "-"

    def resumed(self, seed_results: Sequence[SeedResult]) -> None:
        """Takes what was finished before the benchmark was resumed."""
        for seed_result in seed_results:
            self._add(seed_result)

    def took(self, seed_result: SeedResult) -> None:
        """Takes a run that has just finished."""
        self._add(seed_result)

    def advance(self, num_done: int) -> None:
        """Takes the number of finished runs of all strategies."""

    def interrupted(self) -> None:
        """Shows where the strategies stand that aren't done."""

    def _add(self, seed_result: SeedResult) -> None:
        self._counts[seed_result.label] += 1
        self._sums[seed_result.label] += seed_result.best.result


class LoggedProgress(BenchmarkProgress):
    """Lines for a pipe or a log.

    Args:
        clock: seconds from any point in time on.
    """

    def __init__(
        self,
        labels: Sequence[str],
        num_seeds: int,
        console: Console,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(labels, num_seeds)
        self._console = console
        self._clock = clock
        self._interval = dict.fromkeys(labels, FIRST_SECONDS)
        self._due = dict.fromkeys(labels, clock() + FIRST_SECONDS)

    def resumed(self, seed_results: Sequence[SeedResult]) -> None:
        super().resumed(seed_results)
        for label in {seed_result.label: None for seed_result in seed_results}:
            self._print(label)

    def took(self, seed_result: SeedResult) -> None:
        super().took(seed_result)
        label, now = seed_result.label, self._clock()
        if self.count(label) == self.num_seeds:
            self._print(label)
        elif now >= self._due[label]:
            self._print(label)
            self._interval[label] = min(2 * self._interval[label], MAX_SECONDS)
            self._due[label] = now + self._interval[label]

    def interrupted(self) -> None:
        for label in self.labels:
            if self.count(label) < self.num_seeds:
                self._print(label)

    def _print(self, label: str) -> None:
        is_done = self.count(label) == self.num_seeds
        self._console.print(
            f"[{self.count(label):,}/{self.num_seeds:,}] {label}  mean={self.mean(label)}"
            f"{'' if is_done else ' so far'}"
        )


class ShownProgress(BenchmarkProgress):
    """A bar for each strategy, on a terminal."""

    def __init__(self, labels: Sequence[str], num_seeds: int, console: Console) -> None:
        super().__init__(labels, num_seeds)
        self._console = console
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[mean]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._all = self.bars.add_task("runs", total=len(labels) * num_seeds, mean="")
        self._tasks = {label: self.bars.add_task(label, total=num_seeds, mean="") for label in labels}

    def advance(self, num_done: int) -> None:
        self.bars.update(self._all, completed=num_done)

    def interrupted(self) -> None:
        self._console.print("\n".join(f"{label}  {self._so_far(label)}" for label in self.labels))

    def _add(self, seed_result: SeedResult) -> None:
        super()._add(seed_result)
        label = seed_result.label
        self.bars.update(self._tasks[label], completed=self.count(label), mean=f"mean {self.mean(label)}")

    def _so_far(self, label: str) -> str:
        return f"{self.count(label):,} of {self.num_seeds:,} seeds, mean {self.mean(label)}"


@contextlib.contextmanager
def benchmark_progress(
    labels: Sequence[str], num_seeds: int, console: Console
) -> Iterator[BenchmarkProgress]:
    """The progress of a benchmark that runs in the block; an interruption leaves where it stands."""
    shown = ShownProgress(labels, num_seeds, console) if console.is_terminal else None
    progress = shown or LoggedProgress(labels, num_seeds, console)
    try:
        with shown.bars if shown else contextlib.nullcontext():
            yield progress
    except KeyboardInterrupt:
        progress.interrupted()
        raise
