"""The supervisor of a pool's worker groups, with groups that do nothing and a cluster that is a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from raynas.engine.pool_plan import NodeResources, WorkerGroup, WorkerRequest
from raynas.engine.pool_supervisor import MAX_STARTS, PoolSupervisor


class FakeGroup:
    def __init__(self, number: int, group: WorkerGroup) -> None:
        self.group, self.group_name = group, f"group {number}"
        self.error: Exception | None = None
        self.is_running = False
        self.is_killed = self.is_cleared = False

    def start(self) -> None:
        self.is_running = True

    def is_alive(self) -> bool:
        return self.is_running

    def join(self, timeout: float | None = None) -> None:
        if timeout is None:
            assert not self.is_running, "would wait for ever"

    def locate(self) -> None:
        pass

    def clear(self) -> None:
        assert not self.is_running
        self.is_cleared = True

    def kill(self) -> None:
        self.is_running, self.is_killed = False, True

    def end(self, error: Exception) -> None:
        self.is_running, self.error = False, error


class FakeQueueClient:
    def __init__(self) -> None:
        self.reason: str | None = None
        self.served: set[str] = set()
        self.evicted: list[str] = []

    def failure(self) -> str | None:
        return self.reason

    def has_served(self, group: str) -> bool:
        return group in self.served

    def evict(self, group: str) -> None:
        self.evicted.append(group)


class Cluster:
    """A supervisor and all that it has to do with."""

    def __init__(self, nodes: Sequence[NodeResources], *, wait_seconds: float = 600, **fields: Any) -> None:
        fields.setdefault("count", "auto")
        self.nodes, self.queue = list(nodes), FakeQueueClient()
        self.started: list[FakeGroup] = []
        self.supervisor = PoolSupervisor(
            WorkerRequest(cpus=1, gpus=0, **fields), wait_seconds, self._make, self.queue, lambda: self.nodes
        )
        self.supervisor.reconcile(self.nodes)

    def _make(self, number: int, group: WorkerGroup) -> FakeGroup:
        self.started.append(FakeGroup(number, group))
        return self.started[-1]

    def reconcile(self, *nodes: NodeResources) -> None:
        self.nodes = list(nodes) or self.nodes
        self.supervisor.reconcile(self.nodes)

    @property
    def running(self) -> dict[str | None, int]:
        return {group.group.node: group.group.num_workers for group in self.supervisor.groups}


def node(id: str, cpus: float = 2) -> NodeResources:
    return NodeResources(id, cpus, 0)


A, B, C = (node(id) for id in "abc")


def test_a_lost_nodes_group_is_dropped_and_its_children_are_given_back():
    cluster = Cluster([A, B])
    cluster.reconcile(B)
    assert cluster.running == {"b": 2}
    assert cluster.started[0].is_killed
    assert cluster.started[0].is_cleared
    assert cluster.queue.evicted == ["group 0"]
    assert cluster.supervisor.num_workers == 2


def test_a_node_that_joins_gets_a_group():
    cluster = Cluster([A])
    cluster.reconcile(A, B)
    assert cluster.running == {"a": 2, "b": 2}


def test_no_more_workers_start_than_were_asked_for():
    cluster = Cluster([A], count=3)
    cluster.reconcile(A, B, C)
    assert cluster.running == {"a": 2, "b": 1}
    cluster.reconcile(B, C)
    assert cluster.supervisor.num_workers == 3


def test_a_group_that_ends_although_it_served_is_started_again():
    cluster = Cluster([A])
    for number in range(3 * MAX_STARTS):
        cluster.queue.served.add(f"group {number}")
        cluster.started[-1].end(RuntimeError("crashed"))
        cluster.reconcile()
    assert cluster.supervisor.error is None
    assert cluster.running == {"a": 2}
    assert all(group.is_cleared for group in cluster.started[:-1])
    assert cluster.queue.evicted == [f"group {number}" for number in range(3 * MAX_STARTS)]


def test_a_node_where_no_worker_starts_is_left_out_until_the_cluster_changes(caplog):
    cluster = Cluster([A, B])
    for _ in range(MAX_STARTS):
        cluster.started[-1].end(RuntimeError("no library"))
        cluster.reconcile()
    assert cluster.running == {"a": 2}
    assert "no worker can be started on node b: no library" in caplog.text
    cluster.reconcile(A, B, C)
    assert cluster.running == {"a": 2, "b": 2, "c": 2}


def test_a_search_in_which_no_worker_starts_ends_with_the_reason():
    cluster = Cluster([A])
    for _ in range(MAX_STARTS):
        assert cluster.supervisor.error is None
        cluster.started[-1].end(RuntimeError("no room"))
        cluster.reconcile()
    assert str(cluster.supervisor.error) == "no room"


def test_a_search_that_went_well_waits_for_nodes_before_it_ends_with_the_reason():
    cluster = Cluster([A], wait_seconds=0)
    cluster.queue.served.add("group 0")
    for _ in range(1 + MAX_STARTS):
        assert cluster.supervisor.error is None
        cluster.started[-1].end(RuntimeError("no room"))
        cluster.reconcile()
    assert "The last try ended with: no room. Add nodes" in str(cluster.supervisor.error)


def test_what_a_worker_can_not_do_ends_the_search():
    cluster = Cluster([A, B])
    cluster.queue.reason = "no such library"
    cluster.started[0].end(RuntimeError("ended"))
    cluster.reconcile()
    assert str(cluster.supervisor.error) == "no such library"


def test_a_group_that_just_ends_is_an_error_if_it_goes_on_so():
    cluster = Cluster([A])
    for _ in range(MAX_STARTS):
        cluster.started[-1].is_running = False
        cluster.reconcile()
    assert "ended before the search did" in str(cluster.supervisor.error)


def test_when_the_last_node_is_gone_another_is_waited_for():
    cluster = Cluster([A], wait_seconds=3600)
    cluster.reconcile(node("head", cpus=0))
    assert cluster.supervisor.error is None
    assert cluster.supervisor.num_workers == 0
    cluster.reconcile(node("head", cpus=0), B)
    assert cluster.running == {"b": 2}


def test_when_none_comes_the_search_ends_and_says_what_is_missing():
    cluster = Cluster([A], wait_seconds=0)
    cluster.reconcile(node("head", cpus=0.5))
    assert str(cluster.supervisor.error) == (
        "the last of them was lost, and for 0 s no node has had room for another. Asked for at least one "
        "worker of 1 CPU each; the cluster has 0.5 CPU and 0 GPU on 1 node, which is room for 0. Add nodes, "
        "and resume the search"
    )


def test_workers_that_share_a_child_are_started_again_where_there_is_room():
    cluster = Cluster([A, B], per_child=2)
    assert cluster.running == {None: 2}
    assert cluster.supervisor.num_workers == 4
    cluster.reconcile(A, B, C)
    assert cluster.supervisor.num_workers == 6


def test_closing_ends_groups_that_do_not_end_by_themselves():
    cluster = Cluster([A, B])
    cluster.started[0].is_running = False
    cluster.supervisor.start()
    cluster.supervisor.close(timeout=0.0)
    assert [group.is_killed for group in cluster.started] == [False, True]


@pytest.mark.parametrize("error", [ConnectionError("away"), RuntimeError("broken")])
def test_a_cluster_that_can_not_be_looked_at_now_is_looked_at_again_and_another_error_ends_the_search(
    error, monkeypatch
):
    monkeypatch.setattr("raynas.engine.pool_supervisor.RECONCILE_SECONDS", 0.0)
    cluster = Cluster([A])
    looks = iter([error, None])

    def find_nodes():
        found = next(looks, None)
        if found is not None:
            raise found
        cluster.supervisor._closing.set()
        return cluster.nodes

    cluster.supervisor.find_nodes = find_nodes
    cluster.supervisor.run()
    assert cluster.supervisor.error is (None if isinstance(error, ConnectionError) else error)
