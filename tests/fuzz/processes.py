"""The inputs spread over forked processes, which are watched from outside: a crash in a C library, or a call
that never comes back from it, is a finding and not the end.
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
"""For one input, before its process is killed; generous, for a busy machine."""
MAX_ADDRESS_BYTES = 12 * 2**30
"""Above what libraries reserve without using it: an input must not take the machine down."""

_forking = multiprocessing.get_context("fork")


def fuzz(
    targets: Sequence[Target], ranges: Mapping[str, range], *, seed: int, num_workers: int
) -> dict[str, Tally]:
    """Tries the inputs of these numbers, every `num_workers`-th in one process."""
    torch.set_num_threads(1)
    workers = [
        _Worker(targets, {name: numbers[first::num_workers] for name, numbers in ranges.items()}, seed)
        for first in range(num_workers)
    ]
    tallies = {target.name: Tally() for target in targets}
    while running := [worker for worker in workers if worker.is_running]:
        wait([worker.results for worker in running], timeout=1.0)
        for worker in running:
            worker.collect(tallies)
    return tallies


class _Worker:
    """A process that goes through the targets and sends each one's tally."""

    def __init__(self, targets: Sequence[Target], ranges: Mapping[str, range], seed: int) -> None:
        self.results, sender = _forking.Pipe(duplex=False)
        # Number of the target, of its input, and the moment it was begun.
        self.place: Any = _forking.Array("d", 3, lock=False)
        self.targets, self.is_running = targets, True
        self.place[2] = time.monotonic()
        self.process = _forking.Process(target=_work, args=(targets, ranges, seed, self.place, sender))
        self.process.start()
        sender.close()

    def collect(self, tallies: dict[str, Tally]) -> None:
        """Adds what has come to `tallies`; kills the process if it hangs."""
        try:
            while self.results.poll():
                name, tally = self.results.recv()
                tallies[name].add(tally)
        except EOFError:
            self.process.join()
            self.is_running = False
            if self.process.exitcode:
                name, number = self.targets[int(self.place[0])].name, int(self.place[1])
                how = f"the process ended with exit code {self.process.exitcode}"
                tallies[name].findings.setdefault(how, []).append(f"input {number}: {how}")
            return
        if time.monotonic() - self.place[2] > WALL_SECONDS:
            self.process.kill()


def _work(
    targets: Sequence[Target], ranges: Mapping[str, range], seed: int, place: Any, results: Connection
) -> None:
    signal.signal(signal.SIGPROF, raise_hang)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    # What commands and decoders print is nobody's business; tracebacks come as findings.
    with open(os.devnull, "w", errors="backslashreplace") as nowhere:
        sys.stdout = sys.stderr = nowhere
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        for index, target in enumerate(targets):

            def say(number: int, index: int = index) -> None:
                place[0], place[1], place[2] = index, number, time.monotonic()

            with tempfile.TemporaryDirectory(prefix="raynas-fuzz-") as folder:
                say(-1)
                results.send((target.name, run_target(target, Path(folder), seed, ranges[target.name], say)))
    results.close()
    # Without the interpreter's end: threads of libraries that were there before the fork are not.
    os._exit(0)
