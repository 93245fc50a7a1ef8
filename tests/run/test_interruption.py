"""Ctrl-C and SIGTERM: one exception, at a good moment, and an end in any case. Each in its own process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HEAD = """
import os, signal, sys, time
from raynas.run import interruption
from raynas.run.interruption import Interruption, check, held, interruptible

def get(number):
    os.kill(os.getpid(), number)
    # The handler runs before the next call is over.
    time.sleep(0)
"""


def run(code: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-c", HEAD + textwrap.dedent(code)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_raises_an_interruption_that_is_a_keyboard_interrupt(name, code):
    assert run(
        f"""
        try:
            with interruptible():
                get(signal.{name})
                print("not reached")
        except KeyboardInterrupt as interruption:
            print(interruption.name)
            sys.exit(interruption.exit_code)
        """
    ) == (code, f"{name}\n")


def test_while_it_is_held_a_signal_waits_for_the_next_check():
    assert run(
        """
        try:
            with interruptible(), held():
                check()
                get(signal.SIGTERM)
                print("the step ends")
                check()
                print("not reached")
        except Interruption as interruption:
            print(interruption.name)
        """
    ) == (0, "the step ends\nSIGTERM\n")


def test_a_second_ctrl_c_cuts_the_tidying_up_short_and_a_second_sigterm_does_not():
    assert run(
        """
        try:
            with interruptible():
                try:
                    get(signal.SIGTERM)
                finally:
                    get(signal.SIGTERM)
                    print("tidied up")
                    get(signal.SIGINT)
                    print("not reached")
        except Interruption as interruption:
            print(interruption.name)
        """
    ) == (0, "tidied up\nSIGINT\n")


@pytest.mark.parametrize(
    "error",
    [
        "SystemExit(15)",
        "get(signal.SIGTERM) or ValueError('gone')",
        "get(signal.SIGTERM) or KeyboardInterrupt()",
    ],
)
def test_what_else_comes_of_a_signal_is_the_interruption(error):
    assert run(
        f"""
        try:
            with interruptible(), held():
                raise {error}
        except Interruption as interruption:
            print(interruption.name)
        """
    ) == (0, "SIGTERM\n")


@pytest.mark.parametrize("error", ["SystemExit(1)", "ValueError(1)"])
def test_without_a_signal_an_error_is_what_it_is(error):
    assert run(
        f"""
        try:
            with interruptible(), held():
                raise {error}
        except {error.partition("(")[0]}:
            print("as it was")
        """
    ) == (0, "as it was\n")


def test_what_does_not_end_is_ended_with_the_same_code_and_last_words():
    assert run(
        """
        interruption.SECONDS_TO_END = 0.2
        try:
            with interruptible(lambda: print("last words", flush=True)):
                get(signal.SIGTERM)
        except Interruption:
            while True:
                time.sleep(1)
        """
    ) == (143, "last words\n")


def test_afterwards_signals_are_handled_as_before():
    assert run(
        """
        signal.signal(signal.SIGTERM, lambda *_: print("mine"))
        try:
            with interruptible():
                get(signal.SIGINT)
        except Interruption:
            check()
        get(signal.SIGTERM)
        """
    ) == (0, "mine\n")
