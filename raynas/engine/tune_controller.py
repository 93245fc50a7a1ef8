"""SearchController: Ray Tune's own controller, with children of a pool in the place of its trial actors.

Tune's loop asks the Searcher for trials, hands their reports to the TrialScheduler and ends them as it says;
but a trial is an object in this process, and is forgotten when it ends. So a running child costs no process,
and the next child costs the same after 20,000 as after one.

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
from raynas.engine.searcher import CHILD_RESULT
from raynas.engine.work import News

# Tune keys its waiting trials by their resources; no child asks for any.
_NOTHING = tune.PlacementGroupFactory([{"CPU": 1}])


class Children(Protocol):
    """Who trains: a ChildPool."""

    def submit(self, child: Child) -> None:
        """Queues a child."""

    def stop(self, child_id: int) -> None:
        """Ends a child; nothing is heard of it afterwards."""

    def news(self, timeout: float) -> list[News]:
        """What happened since the last call, of all children and in order; empty after `timeout` seconds."""


class SearchController(TuneController):  # type: ignore[misc]
    """Tune's event loop for one search: `while not controller.is_finished(): controller.step()`.

    Args:
        max_live: children that are queued or running at a time; may be set anew at any time.
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
            resource_manager_factory=lambda: None,
            checkpoint_period=float("inf"),
        )
        self._actor_manager: ChildActors = ChildActors(children)
        self.max_live = max_live
        # One at a time: a child is submitted before the next is thought of.
        self._max_pending_trials = 1
        # What a searcher or a scheduler raises is to reach the caller as it is.
        self._fail_fast = self.RAISE

    def stop_trial(self, trial: Trial) -> None:
        """Ends a trial as Tune does, and forgets it."""
        super().stop_trial(trial)
        self._trials.remove(trial)
        self._stopped_trials.discard(trial)

    def checkpoint(self, force: bool = False, wait: bool = False) -> None:
        """Nothing: the journal is the record of a search."""

    def on_step_begin(self) -> None:
        """Nothing: Tune would look up the cluster's resources."""

    def _maybe_update_trial_queue(self) -> None:
        num_before = len(self._trials)
        if num_before < self.max_live:
            super()._maybe_update_trial_queue()
        # While there is room and a next child, Tune asks for it without waiting for news.
        has_room = num_before < len(self._trials) < self.max_live
        self._actor_manager.is_hurried = has_room and not self._search_alg.is_finished()

    def _schedule_trial_actor(self, trial: Trial) -> None:
        actor = self._actor_manager.add_actor(trial.config)
        self._trial_to_actor[trial] = actor
        self._actor_to_trial[actor] = trial
        self._actor_started(actor)

    def _remove_actor(self, tracked_actor: ChildActor) -> None:
        self._actor_manager.remove_actor(tracked_actor)
        self._started_actors.discard(tracked_actor)

    def _mark_trial_to_checkpoint(self, trial: Trial) -> None:
        pass

    def _validate_result_metrics(self, result: dict[str, Any]) -> None:
        """Nothing: a child that failed has no accuracy."""


class _Suggestions(SearchAlgorithm):  # type: ignore[misc]
    """A Searcher's suggestions as trials, without Tune's parser and its copies of the experiment."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._num_trials = 0

    @property
    def metric(self) -> str | None:
        return self._searcher.metric  # type: ignore[no-any-return]

    def next_trial(self) -> Trial | None:
        trial_id = f"{self._num_trials:08d}"
        config = self._searcher.suggest(trial_id)
        if config == Searcher.FINISHED:
            self.set_finished()
        if not isinstance(config, dict):
            return None
        self._num_trials += 1
        return Trial("child", config=config, trial_id=trial_id, placement_group_factory=_NOTHING, stub=True)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._searcher.on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._searcher.on_trial_complete(trial_id, result=result, error=error)


class ChildActor:
    """What Tune holds for a trial's actor: a child, its unheard news, and who waits for them."""

    def __init__(self, child_id: int) -> None:
        self.child_id = child_id
        self.news: deque[tuple[int, News]] = deque()
        """Each with its place in the order in which all news came."""
        self.has_ended = False
        self.on_result: Callable[[ChildActor, dict[str, Any]], None] | None = None

    @property
    def is_ready(self) -> bool:
        return self.on_result is not None and bool(self.news)

    def hear(self, news: News, place: int) -> None:
        """Takes in one piece of news; an end that comes with the last report is one with it."""
        self.has_ended = news.result is not None
        if news.result is not None and self.news:
            place, last = self.news.pop()
            news = News(self.child_id, last.report, news.result)
        self.news.append((place, news))

    def resolve(self) -> None:
        """Answers Tune's request for a result."""
        (_, news), on_result = self.news.popleft(), self.on_result
        assert on_result is not None
        self.on_result = None
        metrics: dict[str, Any] = {CHILD_RESULT: news.result, DONE: news.result is not None}
        on_result(self, metrics | (news.report.model_dump() if news.report else {}))


class ChildActors:
    """In the place of Tune's manager of Ray actors: an actor is a child, and its one task is to train."""

    num_pending_actors = 0

    def __init__(self, children: Children) -> None:
        self._children = children
        self._live: dict[int, ChildActor] = {}
        # A heap: what came first is told first, though Tune asks a child for its next report when it likes.
        self._ready: list[tuple[int, ChildActor]] = []
        self._places = itertools.count()
        # Tune looks an actor's handle up here; None is a trial without a process.
        self._live_actors_to_ray_actors_resources: dict[ChildActor, tuple[None]] = {}
        self.is_hurried = False

    @property
    def num_live_actors(self) -> int:
        return len(self._live)

    @property
    def num_total_actors(self) -> int:
        return len(self._live)

    @property
    def num_actor_tasks(self) -> int:
        return len(self._live)

    def add_actor(self, config: dict[str, Any]) -> ChildActor:
        """Submits the child that a Searcher's config describes."""
        actor = self._live[config["child"]] = ChildActor(config["child"])
        self._live_actors_to_ray_actors_resources[actor] = (None,)
        genotype = Genotype.from_json(config["genotype"])
        self._children.submit(Child(actor.child_id, genotype, config["arch_id"], config["seed"]))
        return actor

    def remove_actor(self, tracked_actor: ChildActor, kill: bool = False, stop_future: Any = None) -> bool:
        """Frees the worker of a child that has not ended; False, as nothing is left to be waited for."""
        if self._live.pop(tracked_actor.child_id, None) is not None:
            del self._live_actors_to_ray_actors_resources[tracked_actor]
            if not tracked_actor.has_ended:
                self._children.stop(tracked_actor.child_id)
        return False

    def is_actor_started(self, tracked_actor: ChildActor) -> bool:
        return tracked_actor.child_id in self._live

    def is_actor_failed(self, tracked_actor: ChildActor) -> bool:
        return False

    def get_live_actors_resources(self) -> dict[str, float]:
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
        """Waits for the child's next news.

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
            self._line_up(tracked_actor)

    def clear_actor_task_futures(self, tracked_actor: ChildActor) -> None:
        tracked_actor.on_result = None

    def next(self, timeout: float | None = None) -> bool:
        """Resolves one task, waited for; False if there is none after `timeout` seconds."""
        if not self._ready and self._live:
            self._hear(0.0 if self.is_hurried or timeout is None else timeout)
        while self._ready:
            _, actor = heapq.heappop(self._ready)
            if actor.is_ready:
                actor.resolve()
                return True
        return False

    def cleanup(self) -> None:
        for actor in list(self._live.values()):
            self.remove_actor(actor)

    def _hear(self, timeout: float) -> None:
        for news in self._children.news(timeout):
            actor = self._live.get(news.child_id)
            if actor is None:
                continue
            was_ready = actor.is_ready
            actor.hear(news, next(self._places))
            if actor.is_ready and not was_ready:
                self._line_up(actor)

    def _line_up(self, actor: ChildActor) -> None:
        heapq.heappush(self._ready, (actor.news[0][0], actor))
