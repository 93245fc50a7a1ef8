"""How many workers fit on which nodes, and the messages when they don't."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.engine.config import WorkerConfig
from raynas.engine.pool_plan import (
    NodeResources,
    PoolPlan,
    WorkerGroup,
    more_groups,
    plan_pool,
    plan_what_fits,
    with_gpus,
)
from raynas.errors import DoesNotFit


def node(cpus: float, gpus: float = 0, id: str = "n") -> NodeResources:
    return NodeResources(id, cpus, gpus)


def plan(*nodes: NodeResources, **fields: object) -> PoolPlan:
    return plan_pool(with_gpus(WorkerConfig(**fields), nodes), nodes)


def what_fits(*nodes: NodeResources, **fields: object) -> PoolPlan:
    return plan_what_fits(with_gpus(WorkerConfig(**fields), nodes), nodes)


def assert_refused(message: str, *nodes: NodeResources, **fields: object) -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan(*nodes, **fields)
    assert str(caught.value) == message


def test_auto_is_a_worker_per_cpu_where_there_is_no_gpu():
    assert plan(node(8)) == PoolPlan((WorkerGroup(8, "n"),), cpus=1, gpus=0, per_child=1)


def test_auto_is_a_worker_per_gpu_where_there_are_some():
    assert plan(node(8, 2)) == PoolPlan((WorkerGroup(2, "n"),), cpus=1, gpus=1, per_child=1)


def test_auto_leaves_out_nodes_without_a_gpu():
    chosen = plan(node(64, 0, "a"), node(8, 2, "b"))
    assert chosen.groups == (WorkerGroup(2, "b"),)


def test_auto_is_as_many_as_have_their_cpus():
    assert plan(node(7, 4), cpus=2).num_workers == 3


def test_gpus_are_left_alone_where_the_user_says_so():
    assert plan(node(8, 2), gpus=0) == plan(node(8))


@pytest.mark.parametrize(
    ("node_gpus", "gpus", "room"),
    [(3, 0.6, 3), (1, 0.5, 2), (2, 0.25, 8), (1, 1 / 3, 3), (1, 0.1, 10), (4, 2, 2), (3, 2, 1), (2, 1, 2)],
)
def test_a_workers_share_lies_on_one_card(node_gpus, gpus, room):
    assert plan(node(64, node_gpus), gpus=gpus).num_workers == room


@pytest.mark.parametrize(("cpus", "room"), [(0.1, 10), (0.3, 3), (1 / 3, 3), (0.7, 1), (1, 1)])
def test_a_cpu_can_be_shared(cpus, room):
    assert plan(node(1), cpus=cpus).num_workers == room


def test_each_node_has_its_own_group_and_the_roomiest_is_filled_first():
    nodes = node(2, 0, "a"), node(8, 0, "b"), node(4, 0, "c")
    assert plan(*nodes, count=10).groups == (WorkerGroup(8, "b"), WorkerGroup(2, "c"))
    assert plan(*nodes).groups == (WorkerGroup(8, "b"), WorkerGroup(4, "c"), WorkerGroup(2, "a"))


def test_workers_that_share_a_child_are_a_group_that_ray_may_place():
    chosen = plan(node(4, 0, "a"), node(3, 0, "b"), per_child=2)
    assert chosen.groups == (WorkerGroup(2, None),) * 3
    assert (chosen.num_workers, chosen.num_slots) == (6, 3)


node_lists = st.lists(
    st.builds(
        NodeResources,
        id=st.uuids().map(str),
        cpus=st.integers(0, 64).map(float),
        gpus=st.integers(0, 8).map(float),
    ),
    max_size=5,
)
worker_configs = st.builds(
    WorkerConfig,
    count=st.just("auto") | st.integers(1, 40),
    cpus=st.sampled_from([0.1, 0.5, 1, 2, 7]),
    gpus=st.sampled_from(["auto", 0, 0.25, 0.6, 1, 2]),
    per_child=st.integers(1, 4),
)


@given(worker_configs, node_lists)
def test_a_plan_has_the_workers_that_were_asked_for_and_no_node_has_too_many(config, nodes):
    request = with_gpus(config, nodes)
    try:
        chosen = plan_pool(request, nodes)
    except DoesNotFit:
        return
    assert config.count in ("auto", chosen.num_workers)
    assert chosen.num_slots * config.per_child == chosen.num_workers >= 1
    assert chosen.num_workers * chosen.cpus <= sum(node.cpus for node in nodes) + 1e-3
    assert chosen.num_workers * chosen.gpus <= sum(node.gpus for node in nodes) + 1e-3
    by_id = {node.id: node for node in nodes}
    for group in chosen.groups:
        room = [by_id[group.node]] if group.node else nodes
        assert group.num_workers * chosen.cpus <= sum(node.cpus for node in room) + 1e-3


@given(worker_configs, node_lists)
def test_what_auto_chooses_can_be_asked_for(config, nodes):
    request = replace(with_gpus(config, nodes), count="auto")
    try:
        chosen = plan_pool(request, nodes)
    except DoesNotFit:
        return
    assert plan_pool(replace(request, count=chosen.num_workers), nodes) == chosen


def test_too_many_workers_are_refused_with_how_many_there_is_room_for():
    assert_refused(
        "Asked for 9 workers of 1 CPU each; the cluster has 8 CPU and 0 GPU on 2 nodes, which is room for 8. "
        "Set workers.count to 8 or less, or choose smaller workers (workers.cpus, workers.gpus).",
        node(4, 0, "a"),
        node(4, 0, "b"),
        count=9,
    )


def test_a_card_that_is_too_small_may_be_shared():
    assert_refused(
        "Asked for 1 worker of 1 CPU and 2 GPU each; the cluster has 4 CPU and 1 GPU on 1 node, which is "
        "room for 0. Set workers.gpus=0 to train on CPUs, or a fraction such as workers.gpus=0.5, or add GPU "
        "nodes.",
        node(4, 1),
        count=1,
        gpus=2,
    )


def test_workers_with_a_gpu_where_there_is_none_are_refused():
    assert_refused(
        "Asked for 1 worker of 1 CPU and 1 GPU each; the cluster has 4 CPU and 0 GPU on 1 node, which is "
        "room for 0. Set workers.gpus=0 to train on CPUs, or add GPU nodes; Ray counts a node's GPUs when it "
        "starts there ('ray start --num-gpus').",
        node(4),
        count=1,
        gpus=1,
    )


def test_workers_larger_than_every_node_are_refused():
    assert_refused(
        "Asked for at least one worker of 5 CPU each; the cluster has 8 CPU and 0 GPU on 2 nodes, which is "
        "room for 0. Set workers.cpus to less, or add nodes.",
        node(4, 0, "a"),
        node(4, 0, "b"),
        cpus=5,
    )


def test_a_cluster_without_nodes_is_refused():
    assert_refused(
        "Asked for at least one worker of 1 CPU each; the cluster has 0 CPU and 0 GPU on 0 nodes, which is "
        "room for 0. Set workers.cpus to less, or add nodes.",
    )


@pytest.mark.parametrize("count", [0, -3])
def test_no_worker_at_all_is_refused(count):
    with pytest.raises((DoesNotFit, ValueError), match=r"at least one worker|greater than or equal to 1"):
        plan(node(4), count=count)


def test_a_count_that_leaves_a_child_short_of_workers_is_refused():
    assert_refused(
        "7 workers can't be divided into children of 2 workers each. Choose workers.count as a multiple of "
        "workers.per_child.",
        node(8),
        count=7,
        per_child=2,
    )


def test_auto_with_room_for_less_than_one_child_says_how_many_workers_a_child_needs():
    with pytest.raises(DoesNotFit) as caught:
        plan(node(2), per_child=4)
    assert "workers.per_child" in str(caught.value)
    assert "Set workers.count" not in str(caught.value)


@pytest.mark.parametrize("fields", [{"gpus": -1}, {"gpus": -0.5}, {"cpus": 0}, {"per_child": 0}])
def test_a_worker_of_no_or_negative_size_is_no_config(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        WorkerConfig(**fields)


def test_fewer_workers_than_asked_for_start_with_a_notice():
    chosen = what_fits(node(4, 0, "a"), node(4, 0, "b"), count=9)
    assert chosen.num_workers == 8
    assert chosen.notice == (
        "Asked for 9 workers of 1 CPU each; the cluster has 8 CPU and 0 GPU on 2 nodes, which is room for 8. "
        "The others start as nodes join."
    )


@pytest.mark.parametrize("count", ["auto", 3, 8])
def test_as_many_workers_as_asked_for_need_no_notice(count):
    nodes = [node(4, 0, "a"), node(4, 0, "b")]
    assert what_fits(*nodes, count=count) == plan(*nodes, count=count)


@pytest.mark.parametrize(
    "fields", [{"count": 9, "gpus": 1}, {"count": 3, "per_child": 2}, {"count": 16, "per_child": 16}]
)
def test_what_does_not_fit_at_all_is_refused(fields):
    with pytest.raises(DoesNotFit):
        what_fits(node(8), **fields)


def test_fewer_children_than_asked_for_keep_all_of_their_workers():
    assert what_fits(node(8), count=9, per_child=3).num_slots == 2


@given(worker_configs, node_lists, node_lists)
def test_what_is_started_later_fits_beside_what_runs(config, before, joined):
    """As nodes join, there are at most as many workers as asked for, and as many as fit if there is room."""
    request = with_gpus(config, before)
    running = more_groups(request, before, ())
    everything = [*before, *joined]
    more = more_groups(request, everything, running)
    for there in everything:
        groups = [group for group in [*running, *more] if group.node == there.id]
        assert sum(group.num_workers for group in groups) * config.cpus <= there.cpus + 1e-3
        assert sum(group.num_workers for group in groups) * request.gpus <= there.gpus + 1e-3
    total = sum(group.num_workers for group in [*running, *more])
    try:
        assert total == plan_what_fits(request, everything).num_workers
    except DoesNotFit:
        assert total < config.per_child or config.count % config.per_child
    assert more_groups(request, everything, [*running, *more]) == []
