"""The working directory of a test of the command line."""

from __future__ import annotations

import pytest


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The working directory is the test's own folder."""
    monkeypatch.chdir(tmp_path)
