"""How many workers, of what size, on which nodes: planned before anything is started, and again as nodes come
and go. Pure Python.

Worker groups are of node size, so that a lost node takes only its own group with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from raynas.engine.config import WorkerConfig
from raynas.errors import DoesNotFit


@dataclass(frozen=True, slots=True)
class NodeResources:
    """All CPUs and GPUs of one live node."""

    id: str
    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True)
class WorkerRequest:
    """Workers that are asked for, with the size of each as numbers.

    Args:
        count: over all nodes; 'auto' means as many as fit.
        cpus, gpus: per worker.
        per_child: number of workers that train one child together.
    """

    count: int | Literal["auto"]
    cpus: float
    gpus: float
    per_child: int = 1


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """Workers that start together; `node` is None where Ray may choose."""

    num_workers: int
    node: str | None


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """Worker groups to be started.

    Args:
        cpus, gpus: per worker.
        notice: message for the user, such as that fewer workers start than were asked for; may be empty.
    """

    groups: tuple[WorkerGroup, ...]
    cpus: float
    gpus: float
    per_child: int
    notice: str = ""

    @property
    def num_workers(self) -> int:
        """Number of workers in all groups."""
        return sum(group.num_workers for group in self.groups)

    @property
    def num_gpus(self) -> float:
        """GPUs of all workers together."""
        return self.num_workers * self.gpus

    @property
    def num_slots(self) -> int:
        """Children that train at the same time."""
        return self.num_workers // self.per_child


def with_gpus(config: WorkerConfig, nodes: Sequence[NodeResources]) -> WorkerRequest:
    """The request of `config`, in which GPUs per worker that are 'auto' become 1 or 0 as these nodes have
    some.

    A pool decides this once, so that workers that start later are like those that started first.
    """
    gpus = float(any(node.gpus >= 1 for node in nodes)) if config.gpus == "auto" else config.gpus
    return WorkerRequest(config.count, config.cpus, gpus, config.per_child)


def plan_pool(request: WorkerRequest, nodes: Sequence[NodeResources]) -> PoolPlan:
    """The worker groups of `request` on these nodes.

    Raises:
        DoesNotFit: says what was asked, what there is and what to change.
    """
    room = _total_room(request, nodes)
    # Whole children only: workers that are left over could train none.
    count = room // request.per_child * request.per_child if request.count == "auto" else request.count
    if request.count == "auto" and 0 < room < request.per_child:
        raise DoesNotFit(
            f"A child takes {request.per_child} workers of {_size(request)} each; the cluster has "
            f"{describe(nodes)}, which is room for {room}. Set workers.per_child to less, or add nodes."
        )
    if count < 1 or count > room:
        raise DoesNotFit(f"{_asked(count, room, request, nodes)} {_advice(room, request.gpus, nodes)}")
    if count % request.per_child:
        raise DoesNotFit(
            f"{_plural(count, 'worker')} can't be divided into children of {request.per_child} workers "
            "each. Choose workers.count as a multiple of workers.per_child."
        )
    return PoolPlan(tuple(more_groups(request, nodes, ())), request.cpus, request.gpus, request.per_child)


def plan_what_fits(request: WorkerRequest, nodes: Sequence[NodeResources]) -> PoolPlan:
    """The plan of `plan_pool`, or one of as many workers as fit; the rest may start when nodes join.

    Raises:
        DoesNotFit: there is no room for a single child.
    """
    room = _total_room(request, nodes) // request.per_child * request.per_child
    # A count that can't be divided among children doesn't become right by being lowered: plan_pool says so.
    if request.count == "auto" or room == 0 or request.count <= room or request.count % request.per_child:
        return plan_pool(request, nodes)
    notice = f"{_asked(request.count, room, request, nodes)} The others start as nodes join."
    return replace(plan_pool(replace(request, count=room), nodes), notice=notice)


def more_groups(
    request: WorkerRequest, nodes: Sequence[NodeResources], running: Sequence[WorkerGroup]
) -> list[WorkerGroup]:
    """Groups to be started beside those that run already, the roomiest node first."""
    num_running = sum(group.num_workers for group in running)
    if request.per_child > 1:
        # Ray places workers that share a child, so which nodes they run on is not known here.
        room = _total_room(request, nodes)
        # `room` is that of empty nodes, so what runs already is taken off.
        wanted = room if request.count == "auto" else min(room, request.count)
        num_more = max(wanted - num_running, 0) // request.per_child
        # A group for each child: its workers restart together, and would take other children with them.
        return [WorkerGroup(request.per_child, None)] * num_more
    rooms = [(_free_room(node, request, running), node) for node in nodes]
    left = sum(room for room, _ in rooms)
    if request.count != "auto":
        left = min(left, request.count - num_running)
    groups = []
    # The roomiest nodes first, which makes few and large groups.
    for room, node in sorted(rooms, key=lambda pair: -pair[0]):
        if (taken := min(room, left)) > 0:
            groups.append(WorkerGroup(taken, node.id))
            left -= taken
    return groups


def _total_room(request: WorkerRequest, nodes: Sequence[NodeResources]) -> int:
    """Workers that fit on all nodes, if nothing runs there."""
    return sum(room_on(node, request.cpus, request.gpus) for node in nodes)


def _free_room(node: NodeResources, request: WorkerRequest, running: Sequence[WorkerGroup]) -> int:
    """Workers that fit on a node beside those that run there."""
    num_running = sum(group.num_workers for group in running if group.node == node.id)
    return max(room_on(node, request.cpus, request.gpus) - num_running, 0)


def room_on(node: NodeResources, cpus: float, gpus: float) -> int:
    """Workers of this size that one node holds."""
    # Division may leave a whole number just short, as in 0.3 / 0.1, and int would cut it to the one below.
    by_cpu = int(node.cpus / cpus + 1e-6)
    if gpus == 0:
        return by_cpu
    # A worker's fraction must lie on one GPU: three GPUs hold three workers of 0.6, not five.
    by_gpu = int(node.gpus / gpus + 1e-6) if gpus >= 1 else int(node.gpus) * int(1 / gpus + 1e-6)
    return min(by_cpu, by_gpu)


def lack(request: WorkerRequest, nodes: Sequence[NodeResources]) -> str:
    """A sentence that says what was asked and what there is, for when not one worker fits any more."""
    return _asked(0, _total_room(request, nodes), request, nodes)


def _asked(count: int, room: int, request: WorkerRequest, nodes: Sequence[NodeResources]) -> str:
    asked = "at least one worker" if count < 1 else _plural(count, "worker")
    return (
        f"Asked for {asked} of {_size(request)} each; the cluster has {describe(nodes)}, which is room for "
        f"{room}."
    )


def _size(request: WorkerRequest) -> str:
    return f"{request.cpus:g} CPU" + (f" and {request.gpus:g} GPU" if request.gpus else "")


def describe(nodes: Sequence[NodeResources]) -> str:
    """'8 CPU and 1 GPU on 2 nodes'."""
    cpus = sum(node.cpus for node in nodes)
    gpus = sum(node.gpus for node in nodes)
    return f"{cpus:g} CPU and {gpus:g} GPU on {_plural(len(nodes), 'node')}"


def _advice(room: int, gpus: float, nodes: Sequence[NodeResources]) -> str:
    if room >= 1:
        return f"Set workers.count to {room} or less, or choose smaller workers (workers.cpus, workers.gpus)."
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
