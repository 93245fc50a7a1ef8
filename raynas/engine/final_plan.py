"""How many workers train a network together: decided on the connected cluster before anything is started."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from raynas.engine.cluster import check_free, nodes
from raynas.engine.config import TrainWorkerConfig, WorkerConfig
from raynas.engine.pool_plan import NodeResources, describe, plan_pool, room_on
from raynas.errors import DoesNotFit

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Workers of one final training.

    Args:
        num_workers: at most.
        at_least: with fewer, training waits; None: it takes all of them.
        cpus, gpus: of each.
        is_spread: each on a node of its own, as far as there are nodes; else on as few nodes as can be.
    """

    num_workers: int
    at_least: int | None
    cpus: float
    gpus: float
    is_spread: bool = False

    @property
    def is_elastic(self) -> bool:
        return self.at_least is not None and self.at_least < self.num_workers


def plan_training(asked: TrainWorkerConfig) -> TrainingPlan:
    """The workers on the connected cluster; DoesNotFit says what there is and what to change."""
    plan = plan_on(nodes(), asked)
    needed = plan.at_least or plan.num_workers
    check_free(needed * plan.cpus, needed * plan.gpus)
    idle = idle_gpus(nodes(), asked, plan)
    if idle:
        logger.warning(
            "%d GPUs stay idle: there are too few CPUs for workers of %g CPUs. Set workers.cpus to less.",
            idle,
            plan.cpus,
        )
    return plan


def idle_gpus(live: list[NodeResources], asked: TrainWorkerConfig, plan: TrainingPlan) -> int:
    """GPUs that all were meant to train and for which there are too few CPUs."""
    if asked.count != "auto" or plan.gpus < 1:
        return 0
    gpus = sorted((int(node.gpus / plan.gpus) * int(plan.gpus) for node in live), reverse=True)
    return max(sum(gpus[: asked.nodes]) - round(plan.num_workers * plan.gpus), 0)


def plan_on(live: list[NodeResources], asked: TrainWorkerConfig) -> TrainingPlan:
    """The same for these nodes. With `at_least` the rest may join later."""
    has_gpu = asked.gpus != 0 and any(node.gpus >= 1 for node in live)
    count, at_least = asked.count, asked.at_least
    if asked.nodes is not None:
        count = _on_nodes(asked.nodes, live, asked, has_gpu=has_gpu)
    elif count == "auto" and not has_gpu:
        count = 1 if at_least is None else at_least
    needed = count if at_least is None or count == "auto" else min(at_least, int(count))
    pool = plan_pool(
        WorkerConfig.model_validate({"count": needed, "cpus": asked.cpus, "gpus": asked.gpus}), live
    )
    is_spread = asked.nodes is not None and not has_gpu
    plan = TrainingPlan(pool.num_workers, at_least, pool.cpus, pool.gpus, is_spread)
    return plan if count == "auto" else replace(plan, num_workers=int(count))


def _on_nodes(num_nodes: int, live: list[NodeResources], asked: TrainWorkerConfig, *, has_gpu: bool) -> int:
    """Workers of the `num_nodes` nodes with the most room; what may join later is taken to be like them."""
    gpus = float(has_gpu) if asked.gpus == "auto" else float(asked.gpus)
    rooms = sorted((room_on(node, asked.cpus, gpus) for node in live), reverse=True)
    rooms = [room if has_gpu else 1 for room in rooms if room][:num_nodes]
    if len(rooms) == num_nodes or (rooms and asked.at_least is not None):
        return sum(rooms) + rooms[0] * (num_nodes - len(rooms))
    size = f"{asked.cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "")
    raise DoesNotFit(
        f"Asked for {num_nodes} nodes with room for a worker of {size}; the cluster has {describe(live)}, "
        f"and {len(rooms)} of them {'has' if len(rooms) == 1 else 'have'} that room. Ask for fewer --nodes, "
        "set workers.cpus or workers.gpus to less, add nodes, or let the rest join later with --min-workers."
    )
