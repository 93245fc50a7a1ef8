"""How many workers, of what size, on which nodes: decided before anything is started. Pure Python.

Worker groups are of node size, so that a lost node restarts only its own group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raynas.engine.config import WorkerConfig
from raynas.errors import DoesNotFit


@dataclass(frozen=True, slots=True)
class NodeResources:
    """What one live node has in all."""

    address: str
    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """Workers that start and fail together; `node` is None where Ray may choose."""

    num_workers: int
    node: str | None


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What will be started."""

    groups: tuple[WorkerGroup, ...]
    cpus: float
    gpus: float
    per_child: int

    @property
    def num_workers(self) -> int:
        return sum(group.num_workers for group in self.groups)

    @property
    def num_slots(self) -> int:
        """Children that train at the same time."""
        return self.num_workers // self.per_child


def plan_pool(config: WorkerConfig, nodes: Sequence[NodeResources]) -> PoolPlan:
    """The worker groups that `config` asks for on these nodes.

    Raises:
        DoesNotFit: says what was asked, what there is and what to change.
    """
    gpus = config.gpus if config.gpus != "auto" else float(any(node.gpus >= 1 for node in nodes))
    capacity = [room_on(node, config.cpus, gpus) for node in nodes]
    available = sum(capacity) // config.per_child * config.per_child
    count = available if config.count == "auto" else config.count
    size = f"{config.cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "")
    if config.count == "auto" and 0 < sum(capacity) < config.per_child:
        raise DoesNotFit(
            f"A child takes {config.per_child} workers of {size} each; the cluster has {describe(nodes)}, "
            f"which is room for {sum(capacity)}. Set workers.per_child to less, or add nodes."
        )
    if count < 1 or count > sum(capacity):
        asked = "at least one worker" if count < 1 else _plural(count, "worker")
        raise DoesNotFit(
            f"Asked for {asked} of {size} each; the cluster has {describe(nodes)}, which is room for "
            f"{sum(capacity)}. {_advice(sum(capacity), gpus, nodes)}"
        )
    if count % config.per_child:
        raise DoesNotFit(
            f"{_plural(count, 'worker')} can't be divided into children of {config.per_child} workers "
            "each. Choose workers.count as a multiple of workers.per_child."
        )
    if config.per_child > 1:
        groups = [WorkerGroup(config.per_child, None)] * (count // config.per_child)
    else:
        groups = _by_node(count, nodes, capacity)
    return PoolPlan(tuple(groups), config.cpus, gpus, config.per_child)


def room_on(node: NodeResources, cpus: float, gpus: float) -> int:
    """Workers of this size that one node holds."""
    by_cpu = int(node.cpus / cpus + 1e-6)
    if gpus == 0:
        return by_cpu
    # A worker's fraction must lie on one card: three cards of 1 hold three workers of 0.6, not five.
    by_gpu = int(node.gpus / gpus + 1e-6) if gpus >= 1 else int(node.gpus) * int(1 / gpus + 1e-6)
    return min(by_cpu, by_gpu)


def _by_node(count: int, nodes: Sequence[NodeResources], capacity: Sequence[int]) -> list[WorkerGroup]:
    groups = []
    for node, room in sorted(zip(nodes, capacity, strict=True), key=lambda pair: -pair[1]):
        if (taken := min(room, count)) > 0:
            groups.append(WorkerGroup(taken, node.address if len(nodes) > 1 else None))
            count -= taken
    return groups


def describe(nodes: Sequence[NodeResources]) -> str:
    """'8 CPU and 1 GPU on 2 nodes'."""
    cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    return f"{cpus:g} CPU and {gpus:g} GPU on {_plural(len(nodes), 'node')}"


def _advice(room: int, gpus: float, nodes: Sequence[NodeResources]) -> str:
    if room >= 1:
        return (
            f"Use --workers {room} or fewer, or smaller workers (--set workers.cpus=..., workers.gpus=...)."
        )
    if gpus and not any(node.gpus for node in nodes):
        return (
            "Set workers.gpus=0 to train on CPUs, or add GPU nodes; Ray counts a node's GPUs when it starts "
            "there ('ray start --num-gpus')."
        )
    if gpus:
        return (
            "Set workers.gpus=0 to train on CPUs, or a fraction such as workers.gpus=0.5, or add GPU nodes."
        )
    return "Set workers.cpus to less, or add nodes."


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
