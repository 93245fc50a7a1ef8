"""Where a driver dies: at a write to the journal, a request to MLflow, a reward told, or anywhere."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient

from raynas.run.journal import Journal
from raynas.strategies.strategy import Strategy

PLACES = ("journal", "mlflow", "strategy", "outside")
MOMENTS = ("before", "within", "after")


@dataclass(frozen=True)
class Kill:
    """Where a driver dies."""

    place: str
    count: int
    """Of the calls there; 'outside': hundredths of a second since it began to write."""
    moment: str

    def __str__(self) -> str:
        return f"{self.place} {self.count} {self.moment}"


def draw_kill(rng: random.Random, children_left: int, kills_left: int) -> Kill:
    """Early enough that children are left for the kills to come."""
    share = 1.5 * children_left / (kills_left + 1)
    place = rng.choice(PLACES)
    # A child is two lines, one reward, four requests, and one to two hundredths of a second.
    calls = {"journal": 2, "mlflow": 4, "strategy": 1, "outside": 1}[place]
    return Kill(place, rng.randint(1, max(int(calls * share), 1)), rng.choice(MOMENTS))


def arm(kill: Kill) -> None:
    """Has this process kill itself there."""
    if kill.place == "journal":
        _arm(Journal, ("_write",), kill, within=_write_half)
    elif kill.place == "mlflow":
        _arm(MlflowClient, ("create_run", "log_batch", "set_terminated"), kill)
    elif kill.place == "strategy":
        _arm(Strategy, ("observe",), kill)


def _write_half(journal: Journal, line: bytes) -> None:
    journal._file.write(line[: len(line) // 2])


def _arm(cls: type, names: Iterable[str], kill: Kill, within: Callable[..., object] | None = None) -> None:
    left = [kill.count]

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **words: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and kill.moment != "after":
                if kill.moment == "within" and within is not None:
                    within(*args, **words)
                _die()
            result = method(*args, **words)
            if left[0] == 0:
                _die()
            return result

        return call

    for name in names:
        setattr(cls, name, dying(getattr(cls, name)))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    # The signal may take a moment, in which nothing more is to happen.
    threading.Event().wait()
