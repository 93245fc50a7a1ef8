"""Where a driver is killed: at a write to the journal, a request to MLflow, a strategy's update, or
anywhere."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient

from raynas.files import LineFile
from raynas.strategies.strategy import Strategy
from raynas.tracking.child_page import ChildPage
from raynas.tracking.run_page import write_artifacts
from raynas.tracking.transaction import ChildTransaction

PLACES = ("journal", "mlflow", "strategy", "outside")
MOMENTS = ("before", "within", "after")


@dataclass(frozen=True)
class Kill:
    """A moment at which a driver is killed."""

    place: str
    count: int
    """Which call at this place it is; for 'outside', hundredths of a second since the journal first grew."""
    moment: str

    def __str__(self) -> str:
        return f"{self.place} {self.count} {self.moment}"


def draw_kill(rng: random.Random, children_left: int, kills_left: int) -> Kill:
    """Draws a kill that is early enough to leave children for the later kills."""
    share = 1.5 * children_left / (kills_left + 1)
    place = rng.choice(PLACES)
    # A child makes two lines, one transaction and one update, and takes one to two hundredths of a second.
    calls = {"journal": 2, "mlflow": 1, "strategy": 1, "outside": 1}[place]
    return Kill(place, rng.randint(1, max(int(calls * share), 1)), rng.choice(MOMENTS))


def arm(kill: Kill) -> None:
    """Makes this process kill itself at that moment."""
    if kill.place == "journal":
        _arm(LineFile, ("append",), kill, within=_write_half)
    elif kill.place == "mlflow":
        # One countdown: children are written in a transaction, and the page of the whole search by requests.
        left = [kill.count]
        _arm(ChildTransaction, ("write",), kill, within=_write_files, left=left)
        _arm(MlflowClient, ("create_run", "log_batch", "set_terminated"), kill, left=left)
    elif kill.place == "strategy":
        _arm(Strategy, ("observe",), kill)


def _write_half(file: LineFile, line: bytes, *, waits_for_disk: bool = True) -> None:
    file._file.write(line[: len(line) // 2])


def _write_files(transaction: ChildTransaction, page: ChildPage, tags: Mapping[str, str]) -> None:
    write_artifacts(transaction.client, transaction.info_of(page), page.artifacts)


def _arm(
    cls: type,
    names: Iterable[str],
    kill: Kill,
    *,
    within: Callable[..., object] | None = None,
    left: list[int] | None = None,
) -> None:
    # A list, because the wrappers of several methods count down together.
    left = [kill.count] if left is None else left

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and kill.moment != "after":
                if kill.moment == "within" and within is not None:
                    within(*args, **kwargs)
                _die()
            result = method(*args, **kwargs)
            if left[0] == 0:
                _die()
            return result

        return call

    for name in names:
        setattr(cls, name, dying(getattr(cls, name)))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    # The signal may take a moment to arrive; nothing more must happen until then.
    threading.Event().wait()
