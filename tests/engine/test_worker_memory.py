"""How workers keep their memory: what their process is started with, and that a user's own settings win."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from raynas.engine.worker_memory import VARIABLE, worker_environment


def test_the_settings_are_glibcs_and_a_process_starts_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    variables = worker_environment()["env_vars"]
    command = [sys.executable, "-c", "print(sum(len(bytes(2**25)) for _ in range(4)))"]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True)
    # glibc says on stderr what it doesn't understand.
    assert (done.stdout, done.stderr) == (f"{4 * 2**25}\n", "")
    names = {setting.partition("=")[0] for setting in variables[VARIABLE].split(":")}
    assert {"glibc.malloc.trim_threshold", "glibc.malloc.mmap_threshold", "glibc.malloc.hugetlb"} <= names


def test_settings_of_the_users_own_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "glibc.malloc.arena_max=4")
    assert worker_environment() == {}
