"""A run through Tune to a pool and back, with a pool in memory."""

from __future__ import annotations

from collections import deque
from typing import cast

from raynas.child import Child, ChildResult
from raynas.engine.attempts import ChildUpdate
from raynas.engine.pool import ChildPool
from raynas.engine.tuning import tune_run
from raynas.files import JOURNAL_FILE
from raynas.run.events import Resized, Started
from raynas.run.journal import Journal, read_events
from tests.run.builders import make_run


class GrowingPool:
    """Ends one child at a time; it has a second worker after the third child, and none after the fifth."""

    def __init__(self) -> None:
        self.waiting: deque[Child] = deque()
        self.num_ended = 0
        self.num_slots = 1

    def check(self) -> None:
        self.num_slots = 1 if self.num_ended < 3 else 0 if self.num_ended == 5 else 2

    def begin(self) -> None: ...

    def submit(self, child: Child) -> None:
        self.waiting.append(child)

    def updates(self, timeout: float) -> list[ChildUpdate]:
        if not self.waiting:
            return []
        self.num_ended += 1
        return [ChildUpdate(self.waiting.popleft().id, None, ChildResult(status="completed", accuracy=0.5))]


def test_the_journal_has_how_many_children_train_at_the_same_time(tmp_path):
    started = Started(run_id="1", raynas="0", time=0.0, config={})
    pool = GrowingPool()
    with Journal.create(tmp_path / JOURNAL_FILE, started) as journal:
        run = make_run(num_children=8, journal=journal)
        tune_run(run, cast(ChildPool, pool))
    events = read_events(tmp_path / JOURNAL_FILE)
    assert run.is_complete
    assert [event.slots for event in events if isinstance(event, Resized)] == [2, 0, 2]
