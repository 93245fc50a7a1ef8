"""One mutated input at a time, watched: time, memory, errors that are not raynas's own, code that ran."""

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
"""An input that takes longer is a hang. Of processor time: a busy machine must not fail a test."""
MEMORY_BYTES = 512 * 2**20
"""By which one input may raise the process's peak."""

Attempt = Callable[[random.Random], None]
"""Mutates a seed, reads it, and uses what was accepted; lets errors through."""


@dataclass(frozen=True)
class Target:
    """Something that raynas reads.

    Args:
        start: makes the seeds in an empty folder, and knows of a file that would appear there if code from
            the inputs were executed.
        share: of all inputs, in proportion to the other targets'.
    """

    name: str
    start: Callable[[Path, Path], Attempt]
    share: int = 1


@dataclass
class Tally:
    """What came of the inputs of one target."""

    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    slowest_seconds: float = 0.0
    """Of processor time."""
    slowest_input: int = 0
    cpu_seconds: float = 0.0
    findings: dict[str, list[str]] = field(default_factory=dict)
    """What was wrong, by a signature, so that a thousand equal ones are one: the first, and the others'
    numbers.
    """

    def add(self, other: Tally) -> None:
        self.inputs += other.inputs
        self.refused += other.refused
        self.accepted += other.accepted
        self.cpu_seconds += other.cpu_seconds
        for signature, texts in other.findings.items():
            self.findings.setdefault(signature, []).extend(texts)
        if other.slowest_seconds > self.slowest_seconds:
            self.slowest_seconds, self.slowest_input = other.slowest_seconds, other.slowest_input


class Hang(BaseException):
    """Outside Exception, so that no reader takes it for an error of its input."""


def run_target(
    target: Target, folder: Path, seed: int, numbers: Iterable[int], say: Callable[[int], None]
) -> Tally:
    """Tries the inputs with these numbers; each follows from seed, target and number alone.

    Args:
        folder: empty, for this call alone.
        say: called with each number before its input is tried.
    """
    tally, bomb = Tally(), folder / "executed"
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
    """What is wrong with how this input was dealt with, or nothing."""
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
    """The kind of error, and the last line of raynas that it went through."""
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
