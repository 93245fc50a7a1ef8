"""The work queue without Ray: every child is trained, whatever its workers do."""

from __future__ import annotations

import asyncio

import pytest

from raynas.child import ChildResult
from raynas.engine.attempts import ChildUpdate
from raynas.engine.queue import WorkQueue

from .queues import child, done, queue_with, report, run, started, taken


def test_children_are_handed_out_in_the_order_they_came():
    async def scenario():
        queue = await queue_with(3, 1, 2)
        assert [await taken(queue, worker) for worker in "abc"] == [3, 1, 2]

    run(scenario())


def test_waiting_workers_get_a_child_each():
    async def scenario():
        queue = await queue_with()
        waiting = [await started(taken(queue, worker)) for worker in "abc"]
        for id in range(3):
            await queue.submit(child(id))
        assert sorted([await task for task in waiting]) == [0, 1, 2]

    run(scenario())


def test_a_worker_finishes_a_child_and_takes_the_next_in_one_call():
    async def scenario():
        queue = await queue_with(1, 2)
        assert await taken(queue) == 1
        assert await taken(queue, finished=(1, done(0.75))) == 2
        assert await queue.updates() == [ChildUpdate(1, None, done(0.75))]

    run(scenario())


def test_a_result_arrives_while_its_worker_waits_for_the_next_child():
    async def scenario():
        queue = await queue_with(1)
        await taken(queue)
        updates = await started(queue.updates())
        waiting = await started(taken(queue, finished=(1, done())))
        assert await updates == [ChildUpdate(1, None, done())]
        await queue.submit(child(2))
        assert await waiting == 2

    run(scenario())


def test_one_call_returns_the_updates_about_all_children_in_order():
    async def scenario():
        queue = await queue_with(1, 2)
        await taken(queue, "a")
        await taken(queue, "b")
        await queue.report("b", 2, report(1))
        await queue.report("a", 1, report(1))
        await queue.report("b", 2, report(2))
        await queue.finish("a", 1, done())
        assert await queue.updates() == [
            ChildUpdate(2, report(1), None),
            ChildUpdate(1, report(1), None),
            ChildUpdate(2, report(2), None),
            ChildUpdate(1, None, done()),
        ]

    run(scenario())


def test_updates_are_waited_for_and_returned_once():
    async def scenario():
        queue = await queue_with(1)
        await taken(queue)
        for epoch in (1, 2):
            updates = await started(queue.updates())
            assert not updates.done()
            await queue.report("w", 1, report(epoch))
            assert await updates == [ChildUpdate(1, report(epoch), None)]

    run(scenario())


def test_a_dead_workers_child_goes_to_the_front_of_the_queue():
    async def scenario():
        queue = await queue_with(1, 2, 3)
        assert (await taken(queue, "a"), await taken(queue, "b")) == (1, 2)
        assert await taken(queue, "b") == 2
        assert await taken(queue, "c") == 3

    run(scenario())


def test_a_child_whose_worker_dies_too_often_has_failed():
    async def scenario():
        queue = await queue_with(1, 2, max_attempts=3)
        assert [await taken(queue) for _ in range(4)] == [1, 1, 1, 2]
        failed = ChildResult(status="failed", reason="its worker died 3 times")
        assert await queue.updates() == [ChildUpdate(1, None, failed)]

    run(scenario())


def test_with_one_attempt_a_dead_workers_child_has_failed():
    async def scenario():
        queue = await queue_with(1, 2, max_attempts=1)
        assert [await taken(queue) for _ in range(2)] == [1, 2]
        assert [update.result.reason for update in await queue.updates()] == ["its worker died once"]

    run(scenario())


def test_reports_that_a_second_attempt_repeats_are_left_out():
    async def scenario():
        queue = await queue_with(1)
        await taken(queue)
        for epoch in (1, 2):
            await queue.report("w", 1, report(epoch))
        await taken(queue)
        for epoch in (1, 2, 3):
            await queue.report("w", 1, report(epoch))
        await queue.finish("w", 1, done())
        epochs = [update.report.epoch for update in await queue.updates() if update.report]
        assert epochs == [1, 2, 3]

    run(scenario())


def test_a_dead_workers_waiting_call_takes_no_child():
    async def scenario():
        queue = await queue_with()
        left_behind = await started(taken(queue, "a"))
        new_life = await started(taken(queue, "a"))
        assert await left_behind is None
        await queue.submit(child(1))
        assert await new_life == 1

    run(scenario())


def test_a_waiting_child_that_is_stopped_is_not_handed_out():
    async def scenario():
        queue = await queue_with(1, 2)
        await queue.stop(1)
        assert await taken(queue) == 2

    run(scenario())


def test_a_running_child_is_asked_to_stop_and_what_it_still_reports_is_discarded():
    async def scenario():
        queue = await queue_with(1, 2)
        await taken(queue)
        stopped = await started(queue.stopped(1))
        assert not stopped.done()
        await queue.stop(1)
        await stopped
        await queue.report("w", 1, report(1))
        assert await taken(queue, finished=(1, done())) == 2
        assert not (await started(queue.updates())).done()

    run(scenario())


def test_a_stopped_child_whose_worker_dies_is_not_tried_again():
    async def scenario():
        queue = await queue_with(1, 2)
        await taken(queue)
        await queue.stop(1)
        assert await taken(queue) == 2

    run(scenario())


def test_a_second_search_trains_its_own_children_of_the_same_numbers():
    async def scenario():
        queue = await queue_with(1)
        await taken(queue)
        await queue.finish("w", 1, done(0.25))
        await queue.begin()
        await queue.submit(child(1))
        assert await taken(queue) == 1
        await queue.finish("w", 1, done(0.75))
        assert await queue.updates() == [ChildUpdate(1, None, done(0.75))]

    run(scenario())


def test_a_second_search_does_not_hear_of_what_the_first_one_stopped():
    """A stopped child's worker may need a while to let go of it, and by then another search has started."""

    async def scenario():
        queue = await queue_with(1)
        await taken(queue)
        await queue.stop(1)
        await queue.begin()
        await queue.submit(child(1))
        updates = await started(queue.updates())
        next_one = await started(taken(queue, finished=(1, done(0.25))))
        assert next_one.done()
        assert next_one.result() == 1
        await queue.finish("w", 1, done(0.75))
        assert await updates == [ChildUpdate(1, None, done(0.75))]

    run(scenario())


def test_a_call_that_the_first_search_left_behind_takes_no_updates_of_the_second():
    async def scenario():
        queue = await queue_with(1)
        await taken(queue)
        left_behind = await started(queue.updates())
        await queue.begin()
        assert await left_behind == []
        await queue.submit(child(1))
        await taken(queue, "other")
        await queue.finish("other", 1, done())
        assert await queue.updates() == [ChildUpdate(1, None, done())]

    run(scenario())


@pytest.mark.parametrize("id", [1, 99])
def test_calls_about_an_unknown_child_do_nothing(id):
    async def scenario():
        queue = await queue_with()
        await queue.stop(id)
        await queue.stopped(id)
        await queue.report("w", id, report(1))
        await queue.finish("w", id, done())

    run(scenario())


def test_stopped_returns_when_the_child_is_over():
    async def scenario():
        queue = await queue_with(1)
        await taken(queue)
        stopped = await started(queue.stopped(1))
        await queue.finish("w", 1, done())
        await stopped

    run(scenario())


def test_a_result_that_comes_twice_is_returned_once():
    async def scenario():
        queue = await queue_with(1)
        await taken(queue)
        for _ in range(2):
            await queue.finish("w", 1, done())
        assert await queue.updates() == [ChildUpdate(1, None, done())]

    run(scenario())


def test_close_lets_waiting_and_later_workers_return():
    async def scenario():
        queue = await queue_with()
        waiting = [await started(taken(queue, worker)) for worker in "ab"]
        await queue.close()
        assert [await task for task in waiting] == [None, None]
        assert await taken(queue, "c") is None

    run(scenario())


def test_close_asks_running_children_to_stop_and_hands_out_no_more():
    async def scenario():
        queue = await queue_with(1, 2)
        await taken(queue)
        stopped = await started(queue.stopped(1))
        await queue.close()
        await stopped
        assert await taken(queue, finished=(1, done())) is None

    run(scenario())


def test_the_first_worker_is_waited_for():
    async def scenario():
        queue = await queue_with(1, 2)
        ready = await started(queue.wait_for_worker())
        assert not ready.done()
        await taken(queue, "a")
        await ready

    run(scenario())


def test_many_children_and_dying_workers_give_every_child_one_end():
    """Sixty children, five workers, of which each dies at every seventh child that it takes."""

    async def worker(queue: WorkQueue, name: str) -> None:
        finished, count = None, 0
        while (found := await queue.take(name, finished)) is not None:
            count += 1
            await queue.report(name, found.id, report(1))
            await asyncio.sleep(0)
            finished = None if count % 7 == 0 else (found.id, done(found.id / 100))

    async def scenario():
        queue = WorkQueue()
        workers = [asyncio.create_task(worker(queue, name)) for name in "abcde"]
        for id in range(60):
            await queue.submit(child(id))
        updates: list[ChildUpdate] = []
        while sum(update.result is not None for update in updates) < 60:
            updates += await queue.updates()
        await queue.close()
        await asyncio.gather(*workers)
        for id in range(60):
            of_child = [(update.report, update.result) for update in updates if update.child_id == id]
            assert of_child == [(report(1), None), (None, done(id / 100))]

    run(scenario())
