"""Ctrl-C and SIGTERM (a spot machine's notice, a scheduler's time limit) as one exception. Pure Python.

Only a program's entrance takes signals over, with `interruptible`. A loop that is not to be torn in the
middle of a step says `held`, and asks `check` between two steps.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SECONDS = 27.0
"""That a program may take to end; a scheduler kills it after 30, a cloud takes its machine away after 30."""


class Interruption(KeyboardInterrupt):
    """Somebody wants the program to end now."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def name(self) -> str:
        """Of the signal."""
        return signal.Signals(self.number).name

    @property
    def exit_code(self) -> int:
        """As a shell has it: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


class _Signals:
    """What came, in this process, while it is interruptible."""

    received: int | None = None
    is_held = False


@contextlib.contextmanager
def interruptible(last_words: Callable[[], None] = lambda: None) -> Iterator[None]:
    """In the block SIGINT and SIGTERM raise Interruption, and the process ends SECONDS later at the latest.

    For the main thread. A second SIGINT raises again, so that an impatient user cuts waiting short; a second
    SIGTERM is not heard.

    Args:
        last_words: called before the process is ended by force.
    """
    _Signals.received, _Signals.is_held = None, False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        is_first = _Signals.received is None
        if is_first:
            _Signals.received = number
            _end_by_force(128 + number, last_words)
        if (is_first and not _Signals.is_held) or (not is_first and number == signal.SIGINT):
            raise Interruption(number)

    for number in before:
        signal.signal(number, handle)
    try:
        with _other_ends_translated():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _Signals.received = None


@contextlib.contextmanager
def held() -> Iterator[None]:
    """In the block a signal raises nothing: `check` does."""
    _Signals.is_held = True
    try:
        with _other_ends_translated():
            yield
    finally:
        _Signals.is_held = False


def check() -> None:
    """Interruption if a signal has come meanwhile."""
    if _Signals.received is not None:
        raise Interruption(_Signals.received)


@contextlib.contextmanager
def _other_ends_translated() -> Iterator[None]:
    try:
        yield
    except Interruption:
        raise
    except KeyboardInterrupt as error:
        # Ray, where it waits, has its own in the place of what a handler raises.
        raise Interruption(_Signals.received or signal.SIGINT) from error
    except SystemExit as error:
        # Ray's own handler, while it starts: the number of the signal is the code.
        if error.code == signal.SIGTERM:
            raise Interruption(signal.SIGTERM) from error
        raise
    except Exception as error:
        # Other processes that got the signal too, such as Ray's, may be gone before this one hears of it.
        if _Signals.received is not None:
            raise Interruption(_Signals.received) from error
        raise


def signal_name() -> str:
    """Of the signal that has come; of Ctrl-C where nobody has taken signals over."""
    return signal.Signals(_Signals.received or signal.SIGINT).name


def _end_by_force(code: int, last_words: Callable[[], None]) -> None:
    def end() -> None:
        last_words()
        os._exit(code)

    # Also while the interpreter shuts down, which waits for whatever other libraries have started.
    timer = threading.Timer(SECONDS, end)
    timer.daemon = True
    timer.start()
