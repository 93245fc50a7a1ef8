"""Ten thousand mutated inputs, in separate processes, which may crash. `make fuzz` tries a million."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from tests.fuzz.targets import TARGETS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
NUM_INPUTS = 10_000


@pytest.fixture(scope="module")
def tallies() -> dict[str, Any]:
    arguments = ["--inputs", str(NUM_INPUTS), "--seed", "0", "--json"]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *arguments], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    return cast(dict[str, Any], json.loads(ended.stdout))


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_mutated_input_is_accepted_or_refused_in_words_of_ours(tallies, name):
    tally = tallies[name]
    assert not tally["findings"], "\n\n".join(texts[0] for texts in tally["findings"].values())
    assert tally["inputs"] == tally["refused"] + tally["accepted"]
    # If none is accepted, nothing behind the first check is tested; if none is refused, no check is.
    assert tally["accepted"] > 0 and tally["refused"] > 0


def test_all_of_them_were_tried(tallies):
    assert sum(tally["inputs"] for tally in tallies.values()) >= NUM_INPUTS
