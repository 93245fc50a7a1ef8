"""Tries one mutated input at a time, and watches time, memory, foreign errors and executed code."""

from __future__ import annotations

import random
import re
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from raynas.errors import UsageError

CPU_SECONDS = 10.0
"""Processor time after which an input counts as a hang; wall time would fail tests on a busy machine."""
MEMORY_BYTES = 512 * 2**20
"""Largest increase of the process's peak memory by one input."""

Attempt = Callable[[random.Random], None]
"""Mutates a seed, reads the result, and uses it if it is accepted. Errors are passed on."""


@dataclass(frozen=True)
class Target:
    """Something that raynas reads.

    Args:
        start: writes the seeds to an empty folder. Its second argument is a file that appears only if code
            from an input is executed.
        share: number of inputs in proportion to the other targets.
    """

    name: str
    start: Callable[[Path, Path], Attempt]
    share: int = 1


@dataclass
class Tally:
    """Results of the inputs of one target."""

    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    slowest_seconds: float = 0.0
    """Processor time of the slowest input."""
    slowest_input: int = 0
    cpu_seconds: float = 0.0
    findings: dict[str, list[str]] = field(default_factory=dict)
    """Findings by signature, so that a thousand equal ones are listed once: the first in full, then
    numbers."""

    def add(self, other: Tally) -> None:
        self.inputs += other.inputs
        self.refused += other.refused
        self.accepted += other.accepted
        self.cpu_seconds += other.cpu_seconds
        for signature, texts in other.findings.items():
            self.findings.setdefault(signature, []).extend(texts)
        if other.slowest_seconds > self.slowest_seconds:
            self.slowest_seconds = other.slowest_seconds
            self.slowest_input = other.slowest_input


class Hang(BaseException):
    """Not an Exception, so that no reader handles it as an error of its input."""


def run_target(
    target: Target, folder: Path, seed: int, numbers: Iterable[int], say: Callable[[int], None]
) -> Tally:
    """Tries the inputs with these numbers; an input depends only on the seed, the target and its number.

    Args:
        folder: an empty folder for this call.
        say: called with each number before its input is tried.
    """
    tally = Tally()
    bomb = folder / "executed"
    work = folder / "work"
    work.mkdir()
    attempt = target.start(work, bomb)
    for number in numbers:
        say(number)
        began, peak = time.process_time(), _peak_bytes()
        finding = _finding(attempt, random.Random(f"{seed}/{target.name}/{number}"), tally)
        seconds = time.process_time() - began
        tally.inputs += 1
        tally.cpu_seconds += seconds
        if seconds > tally.slowest_seconds:
            tally.slowest_seconds, tally.slowest_input = seconds, number
        if _peak_bytes() - peak > MEMORY_BYTES:
            finding += f"\nit took {(_peak_bytes() - peak) / 2**20:,.0f} MiB of memory"
        if bomb.exists():
            bomb.unlink()
            finding += "\ncode from the input was executed"
        if finding:
            known = tally.findings.setdefault(_signature(finding), [])
            known.append(f"input {number}" + ("" if known else f": {finding.strip()}"))
    return tally


def _finding(attempt: Attempt, rng: random.Random, tally: Tally) -> str:
    """What went wrong with an input; empty if it was accepted or refused properly."""
    try:
        with _watched():
            attempt(rng)
    except UsageError as error:
        tally.refused += 1
        return "" if str(error).strip() else f"{type(error).__name__} without a message"
    except Exception:
        return traceback.format_exc()
    except Hang:
        return f"still not done after {CPU_SECONDS:g} s of processor time\n{traceback.format_exc()}"
    tally.accepted += 1
    return ""


def _signature(finding: str) -> str:
    """The type of error and the last line of raynas in its traceback."""
    places = re.findall(r'File "[^"]*/(raynas/[^"]+|search_spaces/[^"]+)", line (\d+)', finding)
    kind = finding.strip().splitlines()[-1].partition(":")[0]
    return f"{kind} at {':'.join(places[-1])}" if places else kind[:100]


@contextmanager
def _watched() -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def raise_hang(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Hang


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
