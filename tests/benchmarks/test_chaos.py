"""A search whose driver is killed with SIGKILL ends like one whose driver was never killed.

`make chaos` runs the long version.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.drivers import check_with_kills
from benchmarks.chaos.search import Settings


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_driver_that_is_killed_again_and_again_loses_nothing_and_does_nothing_twice(tmp_path: Path):
    kills = check_with_kills(tmp_path, Settings(children=24, seed=3, strategy="ppo", workers=1), num_kills=4)
    assert len(kills) == 4
