"""How many workers train a network together: planned on the connected cluster before anything is started."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from raynas.engine.cluster import check_free, nodes
from raynas.engine.config import TrainWorkerConfig
from raynas.engine.pool_plan import NodeResources, WorkerRequest, describe, plan_pool, room_on
from raynas.errors import DoesNotFit

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Workers of one final training.

    Args:
        num_workers: at most.
        at_least: with fewer, training waits; None means that it needs all of them.
        cpus, gpus: per worker.
        is_spread: whether each worker gets a node of its own, as far as there are nodes; else they are on as
            few nodes as possible.
    """

    num_workers: int
    at_least: int | None
    cpus: float
    gpus: float
    is_spread: bool = False

    @property
    def is_elastic(self) -> bool:
        """Whether training may go on with fewer workers than `num_workers`."""
        return self.at_least is not None and self.at_least < self.num_workers


def plan_training(config: TrainWorkerConfig) -> TrainingPlan:
    """Plans the workers on the connected cluster.

    Raises:
        DoesNotFit: says what there is and what to change.
    """
    plan = plan_on(nodes(), config)
    needed = plan.at_least or plan.num_workers
    check_free(needed * plan.cpus, needed * plan.gpus)
    idle = idle_gpus(nodes(), config, plan)
    if idle:
        logger.warning(
            "%d GPUs stay idle: there are too few CPUs for workers of %g CPUs. Set workers.cpus to less.",
            idle,
            plan.cpus,
        )
    return plan


def idle_gpus(live: list[NodeResources], config: TrainWorkerConfig, plan: TrainingPlan) -> int:
    """Number of GPUs that stay idle for lack of CPUs, although all GPUs were to be used."""
    if config.count != "auto" or plan.gpus < 1:
        return 0
    gpus = sorted((int(node.gpus / plan.gpus) * int(plan.gpus) for node in live), reverse=True)
    return max(sum(gpus[: config.nodes]) - round(plan.num_workers * plan.gpus), 0)


def plan_on(live: list[NodeResources], config: TrainWorkerConfig) -> TrainingPlan:
    """Plans the workers on these nodes; with `at_least`, some of them may start later."""
    has_gpu = config.gpus != 0 and any(node.gpus >= 1 for node in live)
    gpus = float(has_gpu) if config.gpus == "auto" else config.gpus
    count, at_least = config.count, config.at_least
    if config.nodes is not None:
        count = _count_on_nodes(config.nodes, live, config, has_gpu=has_gpu, gpus=gpus)
    elif count == "auto" and not has_gpu:
        count = 1 if at_least is None else at_least
    # What must have room now. Workers beyond it may join later, so the plan isn't refused for their sake.
    needed = count if at_least is None or count == "auto" else min(at_least, count)
    # A pool of workers with a child each is laid out like workers of one network: only numbers and room
    # count.
    pool = plan_pool(WorkerRequest(needed, config.cpus, gpus), live)
    is_spread = config.nodes is not None and not has_gpu
    plan = TrainingPlan(pool.num_workers, at_least, pool.cpus, pool.gpus, is_spread)
    return plan if count == "auto" else replace(plan, num_workers=count)


def _count_on_nodes(
    num_nodes: int, live: list[NodeResources], config: TrainWorkerConfig, *, has_gpu: bool, gpus: float
) -> int:
    """Number of workers on the `num_nodes` nodes with the most room. Nodes that may join later are taken to
    be like the roomiest one.
    """
    rooms = sorted((room_on(node, config.cpus, gpus) for node in live), reverse=True)
    rooms = [room if has_gpu else 1 for room in rooms if room][:num_nodes]
    if len(rooms) == num_nodes or (rooms and config.at_least is not None):
        return sum(rooms) + rooms[0] * (num_nodes - len(rooms))
    size = f"{config.cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "")
    raise DoesNotFit(
        f"Asked for {num_nodes} nodes with room for a worker of {size}; the cluster has {describe(live)}, "
        f"and {len(rooms)} of them {'has' if len(rooms) == 1 else 'have'} that room. Set workers.nodes, "
        "workers.cpus or workers.gpus to less, add nodes, or let the rest join later with workers.at_least."
    )
