"""SearchController: Ray Tune's own controller, with children of a pool in place of its trial actors.

Tune's loop asks the Searcher for trials, passes their reports to the TrialScheduler and ends them as it says.
Here a trial is an object in this process, and is forgotten when it ends: a running child costs no process,
and the next child costs the same after 20,000 as after one.

Each TuneController.step() calls the overridden methods in this order:

1. on_step_begin: would look up the cluster's resources, of which no trial asks for any.
2. _maybe_update_trial_queue: takes the next trial from the Searcher. Tune has no limit on live trials that
   may change while it runs; `max_live` is one.
3. _schedule_trial_actor, for a new trial: would start an actor; here the child is submitted to the pool. Tune
   then asks ChildActors, through schedule_actor_task, for the trial's first result.
4. ChildActors.next: waits for one update from the pool and passes it to Tune as the trial's result. For it
   Tune calls
   a. _validate_result_metrics: would refuse the result of a failed child, which has no accuracy;
   b. the TrialScheduler and the Searcher;
   c. _mark_trial_to_checkpoint: would keep the state of each trial until the next checkpoint;
   d. schedule_actor_task again, or, if the trial ends, stop_trial, which here also forgets the trial, and
      within it _remove_actor, which would wait for the actor's own "stop".
5. checkpoint: would write the state of the experiment; the journal is the record of a search.

This file alone relies on what Ray doesn't promise to keep (read in ray 2.60.0): TuneController, what it asks
of its actor manager, and Trial. tests/engine/test_tune_controller.py fails when they change.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from ray import tune
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.result import DONE
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.search_algorithm import SearchAlgorithm

from raynas.cells.genotype import Genotype
from raynas.child import Child
from raynas.engine.attempts import ChildUpdate
from raynas.engine.searcher import CHILD_RESULT

# Tune keys its waiting trials by their resources, so each needs some; they are never looked at.
_RESOURCES = tune.PlacementGroupFactory([{"CPU": 1}])


class Children(Protocol):
    """The part of a ChildPool that trains children."""

    def submit(self, child: Child) -> None:
        """Queues a child."""

    def stop(self, child_id: int) -> None:
        """Ends a child, about which there are no updates afterwards."""

    def updates(self, timeout: float) -> list[ChildUpdate]:
        """What happened since the last call, for all children and in order; empty after `timeout` seconds."""


# mypy is told to accept that a ChildActor stands where Tune's types ask for its own actors.
class SearchController(TuneController):
    """Tune's event loop for one search: `while not controller.is_finished(): controller.step()`.

    Args:
        max_live: number of children that may be queued or running at a time; may be changed at any time.
    """

    def __init__(
        self,
        searcher: Searcher,
        children: Children,
        *,
        max_live: int,
        scheduler: TrialScheduler | None = None,
    ) -> None:
        super().__init__(
            search_alg=_Suggestions(searcher),
            scheduler=scheduler,
            resource_manager_factory=lambda: None,  # type: ignore[arg-type, return-value]
            checkpoint_period=float("inf"),  # type: ignore[arg-type]
        )
        self._actor_manager: ChildActors = ChildActors(children)  # type: ignore[assignment]
        self.max_live = max_live
        # One trial at a time, so that a child is submitted before the strategy computes the next one.
        self._max_pending_trials = 1
        # Errors of a searcher or a scheduler reach the caller as they are.
        self._fail_fast = self.RAISE  # type: ignore[assignment]

    def stop_trial(self, trial: Trial) -> None:
        """Ends a trial as Tune does, and forgets it."""
        super().stop_trial(trial)  # type: ignore[no-untyped-call]
        # Tune keeps ended trials, and its steps take longer the more of them there are.
        self._trials.remove(trial)
        self._stopped_trials.discard(trial)

    def checkpoint(self, force: bool = False, wait: bool = False) -> None:
        """Does nothing: the journal is the record of a search."""

    def on_step_begin(self) -> None:
        """Does nothing: no trial asks for resources."""

    def _maybe_update_trial_queue(self) -> None:
        num_before = len(self._trials)
        if num_before < self.max_live:
            super()._maybe_update_trial_queue()  # type: ignore[no-untyped-call]
        # While there is room and a next child, the step must not wait for updates.
        has_room = num_before < len(self._trials) < self.max_live
        self._actor_manager.polls = has_room and not self._search_alg.is_finished()

    def _schedule_trial_actor(self, trial: Trial) -> None:
        actor = self._actor_manager.add_actor(trial.config)
        self._trial_to_actor[trial] = actor  # type: ignore[assignment]
        self._actor_to_trial[actor] = trial  # type: ignore[index]
        self._actor_started(actor)  # type: ignore[arg-type]

    def _remove_actor(self, tracked_actor: ChildActor) -> None:  # type: ignore[override]
        self._actor_manager.remove_actor(tracked_actor)
        self._started_actors.discard(tracked_actor)

    def _mark_trial_to_checkpoint(self, trial: Trial) -> None:
        """Does nothing: there are no checkpoints of the experiment."""

    def _validate_result_metrics(self, result: dict[str, Any]) -> None:
        """Does nothing: a failed child has no accuracy."""


class _Suggestions(SearchAlgorithm):
    """A Searcher's suggestions as trials, without Tune's parser and its copies of the experiment."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._num_trials = 0

    @property
    def metric(self) -> str | None:
        return self._searcher.metric

    def next_trial(self) -> Trial | None:
        trial_id = f"{self._num_trials:08d}"
        config = self._searcher.suggest(trial_id)
        if config == Searcher.FINISHED:  # type: ignore[comparison-overlap]
            self.set_finished()  # type: ignore[no-untyped-call]
        if not isinstance(config, dict):
            return None
        # Counted only if there is a trial, so that an id isn't lost where the searcher has nothing at the
        # moment.
        self._num_trials += 1
        # A stub: Tune would look for a registered trainable, and make a folder for the trial.
        return Trial("child", config=config, trial_id=trial_id, placement_group_factory=_RESOURCES, stub=True)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._searcher.on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._searcher.on_trial_complete(trial_id, result=result, error=error)


class ChildActor:
    """Stands for a trial's actor in Tune: a child, its updates, and Tune's callback for the next one."""

    def __init__(self, child_id: int) -> None:
        self.child_id = child_id
        self.updates: deque[tuple[int, ChildUpdate]] = deque()
        """Updates that Tune has not asked for yet, each with its place in the order of all children's
        updates.
        """
        self.has_ended = False
        self.on_result: Callable[[ChildActor, dict[str, Any]], None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether Tune has asked for a result and there is one."""
        return self.on_result is not None and bool(self.updates)

    def receive(self, update: ChildUpdate, place: int) -> None:
        """Adds an update. A result is merged with a report that still waits, as Tune expects both at once."""
        self.has_ended = update.result is not None
        if update.result is not None and self.updates:
            place, last = self.updates.pop()
            update = ChildUpdate(self.child_id, last.report, update.result)
        self.updates.append((place, update))

    def resolve(self) -> None:
        """Answers Tune's request for a result."""
        _, update = self.updates.popleft()
        on_result = self.on_result
        assert on_result is not None
        # Reset before the call, in which Tune may ask for the next result.
        self.on_result = None
        metrics: dict[str, Any] = {CHILD_RESULT: update.result, DONE: update.result is not None}
        on_result(self, metrics | (update.report.model_dump() if update.report else {}))


class ChildActors:
    """Replaces Tune's manager of Ray actors: an actor is a child, and its only task is to train."""

    num_pending_actors = 0

    def __init__(self, children: Children) -> None:
        self._children = children
        self._live: dict[int, ChildActor] = {}
        # A heap by place: updates are passed on in the order in which they came, although Tune asks children
        # for their next result in any order.
        self._ready: list[tuple[int, ChildActor]] = []
        self._places = itertools.count()
        # Tune looks up an actor's handle here; None stands for a trial without a process.
        self._live_actors_to_ray_actors_resources: dict[ChildActor, tuple[None]] = {}
        self.polls = False
        """Whether `next` returns at once when there is no update."""

    @property
    def num_live_actors(self) -> int:
        """Number of children that are queued or running."""
        return len(self._live)

    @property
    def num_total_actors(self) -> int:
        """Number of children that are queued or running: none of their actors is pending."""
        return len(self._live)

    @property
    def num_actor_tasks(self) -> int:
        """Number of children that are queued or running: each has one task, to train."""
        return len(self._live)

    def add_actor(self, config: dict[str, Any]) -> ChildActor:
        """Submits the child that a Searcher's config describes."""
        actor = ChildActor(config["child"])
        self._live[actor.child_id] = actor
        self._live_actors_to_ray_actors_resources[actor] = (None,)
        genotype = Genotype.from_json(config["genotype"])
        self._children.submit(Child(actor.child_id, genotype, config["arch_id"], config["seed"]))
        return actor

    def remove_actor(self, tracked_actor: ChildActor, kill: bool = False, stop_future: Any = None) -> bool:
        """Frees the worker of a child that has not ended. False tells Tune that it need not wait for an
        actor.
        """
        if self._live.pop(tracked_actor.child_id, None) is not None:
            del self._live_actors_to_ray_actors_resources[tracked_actor]
            if not tracked_actor.has_ended:
                self._children.stop(tracked_actor.child_id)
        return False

    def is_actor_started(self, tracked_actor: ChildActor) -> bool:
        """Whether the child was submitted and its trial has not ended."""
        return tracked_actor.child_id in self._live

    def is_actor_failed(self, tracked_actor: ChildActor) -> bool:
        """Always False: a child that fails has a result which says so."""
        return False

    def get_live_actors_resources(self) -> dict[str, float]:
        """Always empty: children take none of Tune's resources."""
        return {}

    def schedule_actor_task(
        self,
        tracked_actor: ChildActor,
        method_name: str,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        on_result: Callable[[ChildActor, dict[str, Any]], None] | None = None,
        on_error: Callable[[ChildActor, Exception], None] | None = None,
        _return_future: bool = False,
    ) -> None:
        """Has `on_result` called with the child's next update.

        Raises:
            NotImplementedError: anything but "train", such as the "save" of a scheduler that pauses trials.
        """
        if method_name != "train":
            raise NotImplementedError(
                f"Tune asks a child to {method_name!r}. Children have no checkpoints: use a scheduler that "
                "stops trials, and none that pauses or copies them."
            )
        tracked_actor.on_result = on_result
        if tracked_actor.is_ready:
            self._push(tracked_actor)

    def clear_actor_task_futures(self, tracked_actor: ChildActor) -> None:
        """Forgets Tune's request for the child's next result."""
        tracked_actor.on_result = None

    def next(self, timeout: float | None = None) -> bool:
        """Passes one update on to Tune; False if there is none within `timeout` seconds."""
        if not self._ready and self._live:
            self._receive(0.0 if self.polls or timeout is None else timeout)
        while self._ready:
            _, actor = heapq.heappop(self._ready)
            # Tune may have stopped the trial, or cleared its request, since the actor was pushed.
            if actor.is_ready:
                actor.resolve()
                return True
        return False

    def cleanup(self) -> None:
        """Stops every child that has not ended."""
        for actor in list(self._live.values()):
            self.remove_actor(actor)

    def _receive(self, timeout: float) -> None:
        for update in self._children.updates(timeout):
            actor = self._live.get(update.child_id)
            # An update may cross with the end of its trial.
            if actor is None:
                continue
            was_ready = actor.is_ready
            actor.receive(update, next(self._places))
            if actor.is_ready and not was_ready:
                self._push(actor)

    def _push(self, actor: ChildActor) -> None:
        # No two actors have the same place, so the heap never compares the actors.
        heapq.heappush(self._ready, (actor.updates[0][0], actor))
