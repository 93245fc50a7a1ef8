"""Whole searches through Tune and the pool, on one Ray and one pool."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

import raynas.run.run
from raynas.cells.genotype import Genotype
from raynas.cells.space import make_space
from raynas.child import LimitsConfig
from raynas.engine.cluster import nodes
from raynas.engine.config import SchedulerConfig, WorkerConfig
from raynas.engine.pool import ChildPool
from raynas.engine.pool_plan import plan_pool, with_gpus
from raynas.engine.schedulers import build_scheduler
from raynas.engine.searcher import TuneSearcher
from raynas.engine.tuning import tune_run
from raynas.errors import DoesNotFit, SearchFailed
from raynas.nn import Complexity
from raynas.run.events import Finished, Proposed, Started
from raynas.run.journal import Journal, read_events
from raynas.run.run import Run
from raynas.strategies.strategy import make_strategy

from .conftest import (
    BLOCK_BYTES,
    DIES_FIRST,
    DIES_ONCE,
    NAN,
    NUM_WORKERS,
    RAISES,
    RUNS_FOR_EVER,
    WAITS_FOR_IT,
    accuracy_of,
    attempts_at,
)

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def make_run(num_children: int, **options: Any) -> Run:
    space = make_space("nasnet", num_blocks=2)
    strategy = make_strategy("random", space, seed=random.randrange(10**6))
    return Run(space, strategy, num_children=num_children, **options)


@pytest.fixture
def behave(monkeypatch):
    """Chooses what single children do, by way of their seeds."""

    def choose(**kinds: int) -> None:
        chosen = {int(name.removeprefix("child_")): kind for name, kind in kinds.items()}
        monkeypatch.setattr(raynas.run.run, "child_seed", lambda seed, child_id: chosen.get(child_id, 0))

    return choose


def size_of(genotype: Genotype) -> Complexity:
    """As good as random."""
    return Complexity(parameters=int(genotype.arch_id[:4], 16), mult_adds=1, activations=1)


def test_what_is_beyond_the_limits_never_reaches_a_worker(pool: ChildPool):
    limits = LimitsConfig(parameters=0x400)
    run = make_run(3, measure=size_of, limits=limits)
    tune_run(run, pool)
    trained = [record for record in run.records.values() if not record.is_infeasible]
    assert run.is_complete
    assert [record.result.status for record in trained] == ["completed"] * 3
    assert all(record.proposed.parameters <= 0x400 for record in trained)
    assert run.num_infeasible == len(run.records) - 3 > 0


def test_a_search_in_which_everything_is_refused_ends_with_the_reason(pool: ChildPool, behave):
    behave(child_0=RUNS_FOR_EVER)
    sizes = itertools.chain([1], itertools.repeat(9))
    limits = LimitsConfig(parameters=8)
    run = make_run(3, measure=lambda genotype: Complexity(next(sizes), 1, 1), limits=limits)
    with pytest.raises(SearchFailed, match=r"limits\.parameters = 8 \(smallest: 9\)"):
        tune_run(run, pool)
    assert run.num_infeasible == 1000
    assert run.records[0].result is None


def test_every_child_is_scored_once_and_is_in_the_journal(pool: ChildPool, tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    with Journal.create(path, Started(run_id="r", raynas="0", time=0.0, config={})) as journal:
        run = make_run(12, journal=journal)
        tune_run(run, pool)
    events = read_events(path)
    assert run.is_complete
    assert Counter(event.child for event in events if isinstance(event, Proposed)) == Counter(range(12))
    assert Counter(event.child for event in events if isinstance(event, Finished)) == Counter(range(12))
    for record in run.records.values():
        assert record.result.status == "completed"
        assert record.reward == pytest.approx(accuracy_of(record.proposed.arch_id))
        assert [report.epoch for report in record.result.curve] == [1, 2]


def test_a_child_that_raises_or_diverges_is_a_result_and_the_others_go_on(pool, behave):
    behave(child_1=RAISES, child_3=NAN)
    run = make_run(6)
    tune_run(run, pool)
    results = {child: record.result for child, record in run.records.items()}
    assert results[1].status == results[3].status == "failed"
    assert "RuntimeError: boom" in results[1].reason
    assert "nan" in results[3].reason
    assert [results[child].status for child in (0, 2, 4, 5)] == ["completed"] * 4
    assert run.records[1].reward is None


class StopAtFirstReport(FIFOScheduler):
    def on_trial_result(self, tune_controller, trial, result):
        return TrialScheduler.STOP


def test_a_scheduler_frees_the_worker_of_a_child_that_would_run_for_ever(pool, behave):
    behave(**{f"child_{child}": RUNS_FOR_EVER for child in range(3 * NUM_WORKERS)})
    run = make_run(3 * NUM_WORKERS)
    tune_run(run, pool, scheduler=StopAtFirstReport())
    for record in run.records.values():
        assert record.result.status == "stopped", record.result
        assert record.reward == pytest.approx(accuracy_of(record.proposed.arch_id) / 2)


@pytest.mark.parametrize("name", ["asha", "median"])
def test_early_stopping_runs_a_search_to_its_end(pool, name):
    run = make_run(8)
    tune_run(run, pool, scheduler=build_scheduler(SchedulerConfig(name=name), epochs=2))
    statuses = Counter(record.result.status for record in run.records.values())
    assert statuses["completed"] + statuses["stopped"] == 8
    assert statuses["completed"] >= 1


def test_a_killed_workers_child_is_trained_again_by_another(pool, behave):
    behave(child_2=DIES_ONCE)
    run = make_run(5)
    tune_run(run, pool)
    assert [record.result.status for record in run.records.values()] == ["completed"] * 5


def test_a_worker_that_dies_is_replaced_and_its_neighbours_child_goes_on(pool, behave, marker):
    # Each waits for the other: the second for the first's second attempt, which its own worker can't make.
    behave(child_0=DIES_FIRST, child_1=WAITS_FOR_IT)
    run = make_run(2)
    tune_run(run, pool)
    assert [record.result.status for record in run.records.values()] == ["completed"] * 2
    assert (attempts_at(DIES_FIRST, marker), attempts_at(WAITS_FOR_IT, marker)) == (2, 1)


def test_more_workers_than_cpus_are_refused_with_what_there_is(pool):
    with pytest.raises(DoesNotFit, match=r"Asked for 64 workers of 1 CPU each; .* has 2 CPU and 0 GPU"):
        plan_pool(with_gpus(WorkerConfig(count=64), nodes()), nodes())


def test_a_pool_beside_another_that_holds_the_cpus_is_refused(pool):
    with pytest.raises(DoesNotFit, match="another job or actor holds the rest"), ChildPool(pool.factory):
        pass


def test_a_worker_that_can_not_begin_ends_the_search_with_its_reason(tmp_path):
    def factory(placement, split):
        raise ImportError("no such library on this node")

    # Beside the shared pool: a sliver of a CPU is enough for a worker that never trains.
    sliver = WorkerConfig(count=1, cpus=0.01)
    with pytest.raises(SearchFailed, match="no such library"), ChildPool(factory, config=sliver) as broken:
        tune_run(make_run(2), broken)


def test_a_search_whose_queue_is_lost_ends_with_the_reason(pool):
    def search() -> None:
        with ChildPool(pool.factory, config=WorkerConfig(count=1, cpus=0.01)) as lost:
            ray.kill(lost.queue)
            tune_run(make_run(2), lost)

    with pytest.raises(SearchFailed, match="work queue was lost"):
        search()


def test_the_searcher_works_in_somebody_elses_tuner(pool, tmp_path):
    def train(config):
        genotype = Genotype.from_json(config["genotype"])
        tune.report({"score": len(genotype.normal.concat) / 10})

    searcher = TuneSearcher(space="nasnet", strategy="random", seed=3, metric="score")
    tuner = tune.Tuner(
        tune.with_resources(train, tune.PlacementGroupFactory([{"node:__internal_head__": 0.001}])),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=4,
            max_concurrent_trials=1,
            metric="score",
            mode="max",
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    )
    tuner.fit()
    assert len(searcher.run.records) == 4
    for child, record in searcher.run.records.items():
        assert record.result.status == "completed"
        assert record.reward == pytest.approx(len(searcher.run.child(child).genotype.normal.concat) / 10)


def test_workers_keep_their_memory(pool, marker):
    """Those of a final training do too: tests/ray/test_ray_training.py."""
    assert int((marker.parent / "memory-kept").read_text()) > BLOCK_BYTES // 2
