"""Tries inputs in forked processes, which are watched from outside.

So a crash in a C library, or a call into one that never returns, is a finding and does not end the fuzzer.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from tests.fuzz.trial import Tally, Target, raise_hang, run_target

WALL_SECONDS = 300.0
"""Time limit of one input, after which its process is killed; generous, because the machine may be busy."""
MAX_ADDRESS_BYTES = 12 * 2**30
"""Limit on address space, so that no input takes the machine down; libraries reserve much that they never
use."""

_forking = multiprocessing.get_context("fork")


def fuzz(
    targets: Sequence[Target], ranges: Mapping[str, range], *, seed: int, num_workers: int
) -> dict[str, Tally]:
    """Tries the inputs with these numbers; each process takes every `num_workers`-th of them."""
    torch.set_num_threads(1)
    running = [
        _Worker(targets, {name: numbers[first::num_workers] for name, numbers in ranges.items()}, seed)
        for first in range(num_workers)
    ]
    tallies = {target.name: Tally() for target in targets}
    while running:
        wait([worker.results for worker in running], timeout=1.0)
        for worker in list(running):
            worker.collect(tallies)
            if not worker.is_running:
                running.remove(worker)
                if worker.rest:
                    running.append(_Worker(targets, worker.rest, seed))
    return tallies


class _Worker:
    """A process that goes through the targets and sends each one's tally.

    Attributes:
        rest: the inputs that are left if an input ended the process. Of the ended target's inputs before it,
            only their number is known.
    """

    def __init__(self, targets: Sequence[Target], ranges: Mapping[str, range], seed: int) -> None:
        self.results, sender = _forking.Pipe(duplex=False)
        # Index of the target, number of its input, and the time at which it started.
        self.place: Any = _forking.Array("d", 3, lock=False)
        self.targets = targets
        self.ranges = ranges
        self.is_running = True
        self.rest: dict[str, range] = {}
        self.place[2] = time.monotonic()
        self.process = _forking.Process(target=_work, args=(targets, ranges, seed, self.place, sender))
        self.process.start()
        sender.close()

    def collect(self, tallies: dict[str, Tally]) -> None:
        """Adds the finished targets to `tallies`; kills the process if it hangs."""
        try:
            while self.results.poll():
                name, tally = self.results.recv()
                tallies[name].add(tally)
        except EOFError:
            self.process.join()
            self.is_running = False
            if self.process.exitcode:
                self._record_crash(tallies)
            return
        if time.monotonic() - self.place[2] > WALL_SECONDS:
            self.process.kill()

    def _record_crash(self, tallies: dict[str, Tally]) -> None:
        place, number = int(self.place[0]), int(self.place[1])
        name = self.targets[place].name
        how = f"the process ended with exit code {self.process.exitcode}"
        tallies[name].findings.setdefault(how, []).append(f"input {number}: {how}")
        numbers = self.ranges[name]
        # A crash before the first input is the target's own fault, so none of its inputs is tried.
        num_tried = numbers.index(number) + 1 if number in numbers else len(numbers)
        tallies[name].inputs += num_tried
        left = {target.name: self.ranges[target.name] for target in self.targets[place:]}
        left[name] = numbers[num_tried:]
        self.rest = {name: numbers for name, numbers in left.items() if numbers}


def _work(
    targets: Sequence[Target], ranges: Mapping[str, range], seed: int, place: Any, results: Connection
) -> None:
    signal.signal(signal.SIGPROF, raise_hang)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    # Output of commands and decoders is discarded; tracebacks are part of the findings.
    with open(os.devnull, "w", errors="backslashreplace") as nowhere:
        sys.stdout = sys.stderr = nowhere
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        for index, target in enumerate(targets):
            if target.name not in ranges:
                continue

            def say(number: int, index: int = index) -> None:
                place[0], place[1], place[2] = index, number, time.monotonic()

            with tempfile.TemporaryDirectory(prefix="raynas-fuzz-") as folder:
                say(-1)
                results.send((target.name, run_target(target, Path(folder), seed, ranges[target.name], say)))
    results.close()
    # Skips the interpreter's shutdown, which waits for library threads that did not survive the fork.
    os._exit(0)
