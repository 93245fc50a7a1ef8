"""How many workers a final training starts with, and how few it goes on with."""

from __future__ import annotations

import pytest

from raynas.engine.final_plan import TrainingPlan, plan_on
from raynas.engine.plan import NodeResources
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
    plan = plan_on(nodes, count, 1, "auto", at_least=at_least)
    assert plan == expected
    assert plan.is_elastic == (at_least is not None and expected.num_workers > at_least)


@pytest.mark.parametrize(("count", "at_least", "said"), [(5, None, "5 workers"), (9, 5, "5 workers")])
def test_what_must_be_there_is_asked_for(count, at_least, said):
    with pytest.raises(DoesNotFit, match=f"^Asked for {said} of 1 CPU each; the cluster has 4 CPU"):
        plan_on(CPU_NODES, count, 1, 0, at_least=at_least)
