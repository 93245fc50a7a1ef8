"""with_gpus.py without a cluster: the wait and the command's exit code."""

from __future__ import annotations

import sys
import time

import with_gpus


def test_it_waits_until_the_gpus_are_there_and_says_what_changes(monkeypatch, capsys):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    counts = iter([0.0, 0.0, 2.0, 4.0])
    assert with_gpus.has_gpus(lambda: next(counts), 4, timeout=60)
    assert capsys.readouterr().out.splitlines() == [
        "waiting for gpus  there=0 wanted=4",
        "waiting for gpus  there=2 wanted=4",
    ]


def test_it_gives_up(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert not with_gpus.has_gpus(lambda: 0.0, 1, timeout=0)


def test_the_exit_code_is_the_commands():
    assert with_gpus.run([sys.executable, "-c", "raise SystemExit(3)"]) == 3
