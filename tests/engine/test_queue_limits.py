"""The work queue without Ray: children that take too long, hang, or lose their worker or their node."""

from __future__ import annotations

import pytest

from raynas.child import ChildResult
from raynas.engine.attempts import MAX_EVICTIONS, ChildUpdate, TimeLimit
from raynas.engine.queue import WorkQueue

from .queues import child, done, queue_with, report, run, run_all_ready, started, taken

SOON = TimeLimit(0.01, grace=1000)
AT_ONCE = TimeLimit(0.01, grace=0.01)


async def failure_of(queue: WorkQueue) -> str:
    (update,) = await queue.updates()
    assert update.result is not None
    assert (update.result.status, update.result.accuracy) == ("failed", None)
    return update.result.reason


def test_a_child_beyond_its_time_limit_is_asked_to_stop_and_has_then_failed():
    async def scenario():
        queue = await queue_with(1, 2, time_limit=SOON)
        await taken(queue)
        await queue.report("w", 1, report(1))
        await queue.updates()
        await queue.stopped(1)
        stopped = ChildResult(status="stopped", accuracy=0.5, curve=(report(1),), seconds=7.0)
        assert await taken(queue, finished=(1, stopped)) == 2
        (update,) = await queue.updates()
        assert update.result.status == "failed"
        assert update.result.accuracy is None
        assert update.result.reason.startswith(
            "not done within the time limit, after epoch 1: workers.time_li"
        )
        assert (update.result.seconds, update.result.curve) == (7.0, (report(1),))

    run(scenario())


@pytest.mark.parametrize("result", [done(), ChildResult(status="failed", reason="boom")])
def test_a_late_child_that_ends_by_itself_keeps_its_result(result):
    async def scenario():
        queue = await queue_with(1, time_limit=SOON)
        await taken(queue)
        await queue.stopped(1)
        await queue.finish("w", 1, result)
        assert await queue.updates() == [ChildUpdate(1, None, result)]

    run(scenario())


def test_a_child_that_does_not_stop_hangs_and_is_not_tried_again():
    async def scenario():
        queue = await queue_with(1, 2, time_limit=AT_ONCE)
        await taken(queue)
        assert (await failure_of(queue)).startswith(
            "hung after epoch 0: 0.01 s beyond its time limit of 0.01"
        )
        # Its worker is killed meanwhile, and another comes in its place.
        await queue.lost("w", "killed")
        assert await taken(queue) == 2

    run(scenario())


def test_a_late_child_whose_worker_is_killed_hung():
    async def scenario():
        queue = await queue_with(1, time_limit=SOON)
        await taken(queue)
        await queue.stopped(1)
        await queue.lost("w", "killed")
        assert "hung" in await failure_of(queue)

    run(scenario())


def test_a_late_child_that_loses_its_node_was_too_slow():
    async def scenario():
        queue = await queue_with(1, time_limit=SOON)
        await taken(queue)
        await queue.stopped(1)
        await queue.lost("w", "its node was lost", caused_by_child=False)
        assert "not done within the time limit" in await failure_of(queue)

    run(scenario())


def test_each_attempt_has_the_whole_time():
    async def scenario():
        queue = await queue_with(1, time_limit=TimeLimit(1000, grace=1000))
        await taken(queue, "a")
        first = queue._running["a"].timer
        await queue.lost("a", "killed")
        assert await taken(queue, "b") == 1
        assert first.cancelled()
        assert not queue._running["b"].timer.cancelled()

    run(scenario())


def test_a_time_limit_does_not_outlive_its_child():
    async def scenario():
        queue = await queue_with(1, time_limit=TimeLimit(1000, grace=1000))
        await taken(queue)
        timer = queue._running["w"].timer
        await queue.finish("w", 1, done())
        assert timer.cancelled()

    run(scenario())


def test_a_lost_workers_child_goes_at_once_to_one_that_waits():
    async def scenario():
        queue = await queue_with(1)
        await taken(queue, "a")
        waiting = await started(taken(queue, "b"))
        await queue.lost("a", "killed")
        assert await waiting == 1

    run(scenario())


def test_a_lost_worker_that_waited_takes_no_child():
    async def scenario():
        queue = await queue_with()
        left_behind = await started(taken(queue, "a"))
        await queue.lost("a", "killed")
        assert await left_behind is None
        await queue.submit(child(1))
        assert await taken(queue, "b") == 1

    run(scenario())


def test_a_child_that_takes_its_workers_with_it_has_failed_with_what_they_died_of():
    async def scenario():
        queue = await queue_with(1, 2, max_attempts=2)
        for reason in ("first", "second"):
            assert await taken(queue) == 1
            await queue.lost("w", reason)
        assert await failure_of(queue) == "its worker died twice: second"
        assert await taken(queue) == 2

    run(scenario())


def test_a_death_that_is_reported_twice_counts_once():
    async def scenario():
        queue = await queue_with(1, max_attempts=2)
        assert await taken(queue) == 1
        await queue.lost("w", "killed")
        await queue.lost("w", "killed")
        assert await taken(queue) == 1

    run(scenario())


def test_lost_nodes_are_not_held_against_a_child_until_there_are_very_many():
    async def scenario():
        queue = await queue_with(1, max_attempts=1)
        for _ in range(MAX_EVICTIONS):
            assert await taken(queue) == 1
            await queue.lost("w", "its node was lost", caused_by_child=False)
        assert await failure_of(queue) == f"its node or worker group was lost {MAX_EVICTIONS} times"

    run(scenario())


def test_the_children_of_a_lost_group_are_queued_again_and_it_gets_no_more():
    async def scenario():
        queue = await queue_with(1, 2, 3)
        for rank in range(2):
            await taken(queue, f"group 1, rank {rank}")
        await taken(queue, "group 11, rank 0")
        await queue.evict("group 1")
        assert await queue.take("group 1, rank 0") is None
        assert sorted([await taken(queue, worker) for worker in ("a", "b")]) == [1, 2]
        assert queue._running["group 11, rank 0"].child.id == 3

    run(scenario())


def test_which_groups_have_served_is_known():
    async def scenario():
        queue = await queue_with(1)
        await taken(queue, "group 1, rank 0")
        assert await queue.has_served("group 1")
        assert not await queue.has_served("group 11")

    run(scenario())


def test_a_checkpoint_is_kept_for_the_next_attempt_and_discarded_when_the_child_ends():
    async def scenario():
        queue = await queue_with(1)
        await taken(queue, "a")
        assert await queue.saved(1) is None
        for state in (b"epoch 1", b"epoch 2"):
            await queue.save("a", 1, state)
        await queue.lost("a", "killed")
        await taken(queue, "b")
        assert await queue.saved(1) == b"epoch 2"
        await queue.finish("b", 1, done())
        assert await queue.saved(1) is None

    run(scenario())


def test_a_checkpoint_of_a_lost_worker_is_discarded():
    async def scenario():
        queue = await queue_with(1)
        await taken(queue, "a")
        await queue.lost("a", "killed")
        await queue.save("a", 1, b"late")
        await taken(queue, "b")
        assert await queue.saved(1) is None
        await run_all_ready()

    run(scenario())
