"""Ctrl-C and SIGTERM (a spot machine's notice, a scheduler's time limit) as one exception. Pure Python.

Only the entry point of a program handles signals, with `interruptible`. A loop that must not be interrupted
in the middle of a step runs in `held`, and calls `check` between two steps.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SECONDS_TO_END = 27.0
"""Seconds that a program may take to end. Schedulers kill it after 30, and clouds take a spot machine away
after 30.
"""


class Interruption(KeyboardInterrupt):
    """A signal asks the program to end now."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def name(self) -> str:
        """Name of the signal, such as SIGTERM."""
        return signal.Signals(self.number).name

    @property
    def exit_code(self) -> int:
        """The code by which shells know it: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


class _Signals:
    """What this process knows of signals while it is interruptible."""

    received: int | None = None
    is_held = False


@contextlib.contextmanager
def interruptible(last_words: Callable[[], None] = lambda: None) -> Iterator[None]:
    """In the block SIGINT and SIGTERM raise Interruption.

    For the main thread. The process ends SECONDS_TO_END after the first signal, at the latest. A second
    SIGINT raises again, so that an impatient user cuts waiting short; a second SIGTERM is ignored.

    Args:
        last_words: Called before the process is ended by force.
    """
    _Signals.received, _Signals.is_held = None, False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        is_first = _Signals.received is None
        if is_first:
            _Signals.received = number
            _end_by_force(128 + number, last_words)
        # A first signal in a held block is only noted; `check` raises for it between two steps.
        if (is_first and not _Signals.is_held) or (not is_first and number == signal.SIGINT):
            raise Interruption(number)

    for number in before:
        signal.signal(number, handle)
    try:
        # Inside, so that Ray's own exceptions for a signal leave the block as Interruption too.
        with _other_ends_translated():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _Signals.received = None


@contextlib.contextmanager
def held() -> Iterator[None]:
    """In the block a signal does not raise; `check` raises for it."""
    _Signals.is_held = True
    try:
        with _other_ends_translated():
            yield
    finally:
        _Signals.is_held = False


def check() -> None:
    """Raises Interruption if a signal has come meanwhile."""
    if _Signals.received is not None:
        raise Interruption(_Signals.received)


@contextlib.contextmanager
def _other_ends_translated() -> Iterator[None]:
    try:
        yield
    except Interruption:
        raise
    except KeyboardInterrupt as error:
        # Where Ray waits, it raises a KeyboardInterrupt of its own in place of what the handler raised.
        raise Interruption(_Signals.received or signal.SIGINT) from error
    except SystemExit as error:
        # Raised by Ray's own handler while Ray starts, with the number of the signal as its code.
        if error.code == signal.SIGTERM:
            raise Interruption(signal.SIGTERM) from error
        raise
    except Exception as error:
        # Other processes that got the signal too, such as Ray's, may have ended before this one handles it.
        # Then the error is that they don't answer.
        if _Signals.received is not None:
            raise Interruption(_Signals.received) from error
        raise


def signal_name() -> str:
    """Name of the signal that has come; SIGINT where no block is interruptible."""
    return signal.Signals(_Signals.received or signal.SIGINT).name


def _end_by_force(code: int, last_words: Callable[[], None]) -> None:
    def end() -> None:
        last_words()
        os._exit(code)

    # A thread, which also runs while the interpreter shuts down and waits for what other libraries started.
    timer = threading.Timer(SECONDS_TO_END, end)
    timer.daemon = True
    timer.start()
