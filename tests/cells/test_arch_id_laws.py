"""Laws of arch_id over samples of every search space.

More samples: `python -m benchmarks.arch_id`.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.arch_id import count, samples
from raynas.cells.space import SPACES
from tests.cells.cells import rewritten_genotype

NUM_SAMPLES = 20_000
NUM_REWRITINGS = 10_000
NUM_IDS = 100
ROOT = Path(__file__).parents[2]
PRINT_IDS = f"""
import random
from benchmarks.arch_id import samples
from raynas.cells.space import SPACES
for name in SPACES.names():
    print(name, *(genotype.arch_id for genotype in samples(name, {NUM_IDS}, random.Random(5))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES.names())
def test_a_random_rewriting_keeps_the_arch_id(name):
    rng = random.Random(11)
    for genotype in samples(name, NUM_REWRITINGS // len(SPACES.names()), rng):
        assert rewritten_genotype(genotype, rng).arch_id == genotype.arch_id


@pytest.mark.slow
def test_architectures_that_differ_have_different_ids():
    counts = count(NUM_SAMPLES, seed=0)
    assert counts["all"].samples == NUM_SAMPLES
    assert counts["all"].distinct > 0.95 * NUM_SAMPLES
    assert {name: row.collisions for name, row in counts.items() if row.collisions} == {}


def test_arch_ids_of_every_space_do_not_depend_on_the_hash_seed():
    printed = {
        subprocess.run(
            [sys.executable, "-c", PRINT_IDS],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "4242")
    }
    assert len(printed) == 1
    assert len(printed.pop().split()) == len(SPACES.names()) * (1 + NUM_IDS)
