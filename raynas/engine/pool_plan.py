"""How many workers, of what size, on which nodes: decided before anything is started, and again as nodes come
and go. Pure Python.

Worker groups are of node size, so that a lost node takes only its own group with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from raynas.engine.config import WorkerConfig
from raynas.errors import DoesNotFit


@dataclass(frozen=True, slots=True)
class NodeResources:
    """What one live node has in all."""

    id: str
    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """Workers that start together; `node` is None where Ray may choose."""

    num_workers: int
    node: str | None


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What will be started.

    Args:
        cpus, gpus: of each worker.
        notice: what the user is to know, such as that these are fewer workers than were asked for.
    """

    groups: tuple[WorkerGroup, ...]
    cpus: float
    gpus: float
    per_child: int
    notice: str = ""

    @property
    def num_workers(self) -> int:
        return sum(group.num_workers for group in self.groups)

    @property
    def num_gpus(self) -> float:
        return self.num_workers * self.gpus

    @property
    def num_slots(self) -> int:
        """Children that train at the same time."""
        return self.num_workers // self.per_child


def settled(config: WorkerConfig, nodes: Sequence[NodeResources]) -> WorkerConfig:
    """With the GPUs of a worker as a number: what is started later is to be like what is started now."""
    if config.gpus != "auto":
        return config
    return config.model_copy(update={"gpus": float(any(node.gpus >= 1 for node in nodes))})


def plan_pool(config: WorkerConfig, nodes: Sequence[NodeResources]) -> PoolPlan:
    """The worker groups that `config` asks for on these nodes.

    Raises:
        DoesNotFit: says what was asked, what there is and what to change.
    """
    config = settled(config, nodes)
    assert config.gpus != "auto"
    room = sum(_room(node, config, ()) for node in nodes)
    count = room // config.per_child * config.per_child if config.count == "auto" else config.count
    if config.count == "auto" and 0 < room < config.per_child:
        raise DoesNotFit(
            f"A child takes {config.per_child} workers of {_size(config)} each; the cluster has "
            f"{describe(nodes)}, which is room for {room}. Set workers.per_child to less, or add nodes."
        )
    if count < 1 or count > room:
        raise DoesNotFit(f"{_asked(count, room, config, nodes)} {_advice(room, config.gpus, nodes)}")
    if count % config.per_child:
        raise DoesNotFit(
            f"{_plural(count, 'worker')} can't be divided into children of {config.per_child} workers "
            "each. Choose workers.count as a multiple of workers.per_child."
        )
    return PoolPlan(tuple(more_groups(config, nodes, ())), config.cpus, config.gpus, config.per_child)


def plan_what_fits(config: WorkerConfig, nodes: Sequence[NodeResources]) -> PoolPlan:
    """The same, or as many workers as there is room for; the rest may start when nodes join.

    Raises:
        DoesNotFit: there is no room for a single child.
    """
    asked = settled(config, nodes)
    room = sum(_room(node, asked, ()) for node in nodes) // asked.per_child * asked.per_child
    if asked.count == "auto" or room == 0 or asked.count <= room or asked.count % asked.per_child:
        return plan_pool(asked, nodes)
    notice = f"{_asked(asked.count, room, asked, nodes)} The others start as nodes join."
    return replace(plan_pool(asked.model_copy(update={"count": room}), nodes), notice=notice)


def more_groups(
    config: WorkerConfig, nodes: Sequence[NodeResources], running: Sequence[WorkerGroup]
) -> list[WorkerGroup]:
    """What is to be started beside the groups that run already; of a `settled` config."""
    assert config.gpus != "auto"
    if config.per_child > 1:
        room = sum(_room(node, config, ()) for node in nodes)
        num_running = sum(group.num_workers for group in running)
        wanted = room if config.count == "auto" else min(room, config.count)
        num_more = max(wanted - num_running, 0) // config.per_child
        return [WorkerGroup(config.per_child, None)] * num_more
    rooms = [(_room(node, config, running), node) for node in nodes]
    left = sum(room for room, _ in rooms)
    if config.count != "auto":
        left = min(left, config.count - sum(group.num_workers for group in running))
    groups = []
    for room, node in sorted(rooms, key=lambda pair: -pair[0]):
        if (taken := min(room, left)) > 0:
            groups.append(WorkerGroup(taken, node.id))
            left -= taken
    return groups


def _room(node: NodeResources, config: WorkerConfig, running: Sequence[WorkerGroup]) -> int:
    """Workers that fit on a node beside those that run there."""
    assert config.gpus != "auto"
    num_running = sum(group.num_workers for group in running if group.node == node.id)
    return max(room_on(node, config.cpus, config.gpus) - num_running, 0)


def room_on(node: NodeResources, cpus: float, gpus: float) -> int:
    """Workers of this size that one node holds."""
    by_cpu = int(node.cpus / cpus + 1e-6)
    if gpus == 0:
        return by_cpu
    # A worker's fraction must lie on one card: three cards of 1 hold three workers of 0.6, not five.
    by_gpu = int(node.gpus / gpus + 1e-6) if gpus >= 1 else int(node.gpus) * int(1 / gpus + 1e-6)
    return min(by_cpu, by_gpu)


def lack(config: WorkerConfig, nodes: Sequence[NodeResources]) -> str:
    """What was asked, and what there is, where no worker of a `settled` config fits any more."""
    return _asked(0, sum(_room(node, config, ()) for node in nodes), config, nodes)


def _asked(count: int, room: int, config: WorkerConfig, nodes: Sequence[NodeResources]) -> str:
    asked = "at least one worker" if count < 1 else _plural(count, "worker")
    return (
        f"Asked for {asked} of {_size(config)} each; the cluster has {describe(nodes)}, which is room for "
        f"{room}."
    )


def _size(config: WorkerConfig) -> str:
    return f"{config.cpus:g} CPU" + (f" and {config.gpus:g} GPU" if config.gpus else "")


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
