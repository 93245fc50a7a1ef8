"""How many workers train a network together: decided on the connected cluster before anything is started."""

from __future__ import annotations

from dataclasses import dataclass, replace

from raynas.engine.cluster import check_free, nodes
from raynas.engine.config import WorkerConfig
from raynas.engine.plan import NodeResources, plan_pool


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Workers of one final training.

    Args:
        num_workers: at most.
        at_least: with fewer, training waits; None: it takes all of them.
        cpus, gpus: of each.
    """

    num_workers: int
    at_least: int | None
    cpus: float
    gpus: float

    @property
    def is_elastic(self) -> bool:
        return self.at_least is not None and self.at_least < self.num_workers


def plan_training(
    count: int | str, cpus: float, gpus: float | str, *, at_least: int | None = None
) -> TrainingPlan:
    """The workers on the connected cluster; DoesNotFit says what there is and what to change."""
    plan = plan_on(nodes(), count, cpus, gpus, at_least=at_least)
    needed = plan.at_least or plan.num_workers
    check_free(needed * plan.cpus, needed * plan.gpus)
    return plan


def plan_on(
    live: list[NodeResources], count: int | str, cpus: float, gpus: float | str, *, at_least: int | None
) -> TrainingPlan:
    """The same for these nodes. With `at_least` the rest of `count` may join later."""
    has_gpu = gpus != 0 and any(node.gpus >= 1 for node in live)
    if count == "auto" and not has_gpu:
        count = 1 if at_least is None else at_least
    needed = count if at_least is None or count == "auto" else min(at_least, int(count))
    pool = plan_pool(WorkerConfig.model_validate({"count": needed, "cpus": cpus, "gpus": gpus}), live)
    plan = TrainingPlan(pool.num_workers, at_least, pool.cpus, pool.gpus)
    return plan if count == "auto" else replace(plan, num_workers=int(count))
