"""An input that ends its process is a finding, and the inputs after it are still tried."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.fuzz.processes import fuzz
from tests.fuzz.trial import Attempt, Target

NUM_INPUTS = 200


def crashing(folder: Path, bomb: Path) -> Attempt:
    def attempt(rng: random.Random) -> None:
        if rng.random() < 0.02:
            os._exit(70)

    return attempt


def sound(folder: Path, bomb: Path) -> Attempt:
    return lambda rng: None


def broken(folder: Path, bomb: Path) -> Attempt:
    os._exit(70)


def test_what_comes_after_a_crash_is_tried():
    targets = [Target("crashing", crashing), Target("broken", broken), Target("sound", sound)]
    crashes = [
        number
        for number in range(NUM_INPUTS)
        if random.Random(f"0/crashing/{number}").random() < 0.02
    ]  # fmt: skip
    assert len(crashes) >= 2
    ranges = {target.name: range(NUM_INPUTS) for target in targets}
    tallies = fuzz(targets, ranges, seed=0, num_workers=2)
    how = "the process ended with exit code 70"
    found = tallies["crashing"].findings[how]
    assert sorted(found) == sorted(f"input {number}: {how}" for number in crashes)
    assert tallies["broken"].findings == {how: [f"input -1: {how}"] * 2}
    assert not tallies["sound"].findings
    assert [tallies[target.name].inputs for target in targets] == [NUM_INPUTS] * 3
    assert tallies["sound"].accepted == NUM_INPUTS
