"""A search with a child of each kind of poison; `make poison` is the long version."""

from __future__ import annotations

import functools

import pytest

from benchmarks.chaos.poison import REASONS, every_worker_trains, make_checked_trainer, new_run, wrong
from raynas.data import DataConfig, load_split
from raynas.engine.config import WorkerConfig
from raynas.engine.pool import ChildPool
from raynas.engine.tuning import tune_run

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

NUM_CHILDREN = 12
POISON = dict(zip([1, 2, 4, 5, 7, 8], REASONS, strict=True))


@pytest.fixture(scope="module")
def poisoned(pool, tmp_path_factory):
    """The run, and whether all workers still trained after it."""
    folder = tmp_path_factory.mktemp("poison") / "roll"
    factory = functools.partial(make_checked_trainer, poison=POISON, folder=folder, num_workers=2)
    split = load_split(DataConfig(train_images=64, validation_images=32), seed=0)
    # Beside the shared pool, which has no time limit: slivers of a CPU.
    config = WorkerConfig(count=2, cpus=0.01, max_attempts=2, time_limit_seconds=12, grace_seconds=2)
    with ChildPool(factory, data=split, config=config) as slivers:
        run = new_run(NUM_CHILDREN)
        tune_run(run, slivers)
        return run, every_worker_trains(slivers, folder, num_workers=2)


def test_the_poisoned_have_failed_for_their_own_reasons_and_all_others_are_scored(poisoned):
    run, _ = poisoned
    assert run.is_complete
    assert wrong(run, POISON) == []


def test_all_workers_are_there_afterwards(poisoned):
    _, is_complete = poisoned
    assert is_complete
