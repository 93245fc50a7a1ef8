"""How many workers a final training starts with, and how few it goes on with."""

from __future__ import annotations

import pytest

from raynas.engine.config import TrainWorkerConfig
from raynas.engine.final_plan import TrainingPlan, idle_gpus, plan_on
from raynas.engine.pool_plan import NodeResources
from raynas.errors import DoesNotFit

CPU_NODES = [NodeResources("a", 2, 0), NodeResources("b", 2, 0)]
GPU_NODES = [NodeResources("a", 8, 4), NodeResources("b", 8, 4)]


@pytest.mark.parametrize(
    ("nodes", "count", "at_least", "expected"),
    [
        (CPU_NODES, "auto", None, TrainingPlan(1, None, 1, 0)),
        (CPU_NODES, "auto", 2, TrainingPlan(2, 2, 1, 0)),
        (CPU_NODES, 3, None, TrainingPlan(3, None, 1, 0)),
        (CPU_NODES, 16, 3, TrainingPlan(16, 3, 1, 0)),
        (GPU_NODES, "auto", None, TrainingPlan(8, None, 1, 1)),
        (GPU_NODES, "auto", 4, TrainingPlan(8, 4, 1, 1)),
        (GPU_NODES, 16, 8, TrainingPlan(16, 8, 1, 1)),
    ],
)
def test_the_rest_of_an_elastic_training_may_join_later(nodes, count, at_least, expected):
    plan = plan_on(nodes, TrainWorkerConfig(count=count, at_least=at_least))
    assert plan == expected
    assert plan.is_elastic == (at_least is not None and expected.num_workers > at_least)


@pytest.mark.parametrize(("count", "at_least", "said"), [(5, None, "5 workers"), (9, 5, "5 workers")])
def test_what_must_be_there_is_asked_for(count, at_least, said):
    with pytest.raises(DoesNotFit, match=f"^Asked for {said} of 1 CPU each; the cluster has 4 CPU"):
        plan_on(CPU_NODES, TrainWorkerConfig(count=count, gpus=0, at_least=at_least))


HEAD = NodeResources("head", 4, 0)


@pytest.mark.parametrize(
    ("live", "num_nodes", "at_least", "expected"),
    [
        ([HEAD, *GPU_NODES], 2, None, TrainingPlan(8, None, 1, 1)),
        ([HEAD, *GPU_NODES], 1, None, TrainingPlan(4, None, 1, 1)),
        ([HEAD, *GPU_NODES], 4, 4, TrainingPlan(16, 4, 1, 1)),
        (CPU_NODES, 2, None, TrainingPlan(2, None, 1, 0, is_spread=True)),
        (CPU_NODES, 3, 2, TrainingPlan(3, 2, 1, 0, is_spread=True)),
    ],
)
def test_nodes_mean_all_their_gpus_or_one_worker_each(live, num_nodes, at_least, expected):
    assert plan_on(live, TrainWorkerConfig(nodes=num_nodes, at_least=at_least)) == expected


@pytest.mark.parametrize(
    ("live", "gpus", "said"),
    [
        ([HEAD, *GPU_NODES], "auto", r"3 nodes with room for a worker of 1 CPU and 1 GPU; .* 2 of them have"),
        (CPU_NODES, "auto", "3 nodes with room for a worker of 1 CPU; .* 2 of them have"),
        ([HEAD], 1, "3 nodes with room for a worker of 1 CPU and 1 GPU; .* 0 of them have"),
    ],
)
def test_nodes_that_are_not_there_are_asked_for(live, gpus, said):
    with pytest.raises(DoesNotFit, match=said):
        plan_on(live, TrainWorkerConfig(nodes=3, gpus=gpus))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 0),
        ({"cpus": 4}, 4),
        ({"cpus": 4, "nodes": 1}, 2),
        ({"cpus": 4, "count": 2}, 0),
        ({"gpus": 2}, 0),
        ({"gpus": 0, "cpus": 8}, 0),
    ],
)
def test_gpus_without_cpus_are_counted(fields, expected):
    asked, live = TrainWorkerConfig(**fields), [HEAD, *GPU_NODES]
    assert idle_gpus(live, asked, plan_on(live, asked)) == expected
