"""Tune's controller without Ray's processes: a stand-in trains the children at once."""

from __future__ import annotations

import inspect
import random
import re
from collections import Counter, deque
from collections.abc import Callable, Sequence

import pytest
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, MedianStoppingRule, TrialScheduler
from ray.tune.search.search_algorithm import SearchAlgorithm

from raynas.cells.space import make_space
from raynas.child import Child, ChildResult, EpochReport, LimitsConfig
from raynas.engine.attempts import ChildUpdate
from raynas.engine.config import SchedulerConfig
from raynas.engine.schedulers import MedianStopping, build_scheduler
from raynas.engine.searcher import TuneSearcher
from raynas.engine.tune_controller import ChildActors, SearchController
from raynas.run.events import Finished
from raynas.run.run import Run
from raynas.strategies.strategy import make_strategy

Curve = Callable[[int], Sequence[float]]


def report(epoch: int, accuracy: float) -> EpochReport:
    return EpochReport(epoch=epoch, accuracy=accuracy, train_loss=1.0, seconds=float(epoch))


class Trainers:
    """Two slots that train an epoch of each of their children whenever they are asked for updates."""

    def __init__(self, curve_of: Curve) -> None:
        self.curve_of = curve_of
        self.waiting: deque[Child] = deque()
        self.running: dict[int, list[float]] = {}
        self.stopped: list[int] = []
        self.most_live = 0
        self.timeouts: list[tuple[int, float]] = []

    def submit(self, child: Child) -> None:
        self.waiting.append(child)
        self.most_live = max(self.most_live, len(self.waiting) + len(self.running))

    def stop(self, child_id: int) -> None:
        self.stopped.append(child_id)
        self.running.pop(child_id, None)

    def updates(self, timeout: float) -> list[ChildUpdate]:
        self.timeouts.append((len(self.waiting) + len(self.running), timeout))
        while self.waiting and len(self.running) < 2:
            child = self.waiting.popleft()
            self.running[child.id] = []
        return [update for id in list(self.running) for update in self._epoch(id)]

    def _epoch(self, id: int) -> list[ChildUpdate]:
        curve, done = self.curve_of(id), self.running[id]
        if len(done) == len(curve):
            del self.running[id]
            status = "completed" if curve else "failed"
            result = ChildResult(
                status=status, accuracy=curve[-1] if curve else None,
                curve=tuple(report(epoch, accuracy) for epoch, accuracy in enumerate(curve, start=1)),
            )  # fmt: skip
            return [ChildUpdate(id, None, result)]
        done.append(curve[len(done)])
        return [ChildUpdate(id, report(len(done), done[-1]), None)]


class SlowFinders(Trainers):
    """Find every third child too slow, and don't train it."""

    def _epoch(self, id: int) -> list[ChildUpdate]:
        if id % 3:
            return super()._epoch(id)
        del self.running[id]
        return [ChildUpdate(id, None, ChildResult(status="infeasible", latency_ms=9.0, reason="too slow"))]


class FastTrainers(Trainers):
    """One slot, which has trained all waiting children before it is asked for updates."""

    def updates(self, timeout: float) -> list[ChildUpdate]:
        updates: list[ChildUpdate] = []
        while self.waiting:
            child = self.waiting.popleft()
            self.running[child.id] = []
            while child.id in self.running:
                updates += self._epoch(child.id)
        return updates


def make_run(num_children: int, **options: object) -> Run:
    space = make_space("nasnet", num_blocks=1)
    return Run(space, make_strategy("random", space, seed=0), num_children=num_children, **options)


def search(
    run: Run,
    curve_of: Curve,
    *,
    scheduler: TrialScheduler | None = None,
    kind: type[Trainers] = Trainers,
):
    """The controller and the trainers after a whole search."""
    trainers = kind(curve_of)
    controller = SearchController(TuneSearcher(run), trainers, max_live=3, scheduler=scheduler)
    while not controller.is_finished():
        controller.step()
    return controller, trainers


@pytest.mark.parametrize("scheduler", ["none", "asha", "median"])
def test_a_child_that_its_worker_finds_too_slow_is_replaced_by_another(scheduler):
    run = make_run(10, limits=LimitsConfig(latency_ms=5.0))
    rule = build_scheduler(SchedulerConfig(name=scheduler), 2)
    search(run, lambda id: [0.5, 0.5], scheduler=rule, kind=SlowFinders)
    assert run.is_complete
    assert (run.num_finished, run.num_infeasible) == (10, 5)
    refused = [record.id for record in run.records.values() if record.is_infeasible]
    assert refused == [0, 3, 6, 9, 12]


def statuses(run: Run) -> Counter[str]:
    return Counter(record.result.status for record in run.records.values())


def test_every_child_is_trained_once_and_its_reports_are_kept():
    run = make_run(20)
    _, trainers = search(run, lambda id: (0.1, id / 20))
    assert trainers.stopped == []
    assert statuses(run) == {"completed": 20}
    assert [run.records[id].reward for id in range(20)] == [id / 20 for id in range(20)]
    assert trainers.most_live == 3


def test_children_that_ended_before_anybody_asked_end_in_the_order_in_which_they_did():
    run = make_run(30)
    search(run, lambda id: (0.1, 0.2, 0.3) if id % 2 else (), kind=FastTrainers)
    ended = [event.child for event in run.events if isinstance(event, Finished)]
    assert ended == list(range(30))


def test_nothing_is_waited_for_while_there_is_room_for_another_child():
    _, trainers = search(make_run(9), lambda id: (0.5,))
    waits = {live: {timeout > 0 for n, timeout in trainers.timeouts[:8] if n == live} for live in (1, 2, 3)}
    assert waits == {1: {False}, 2: {False}, 3: {True}}


@pytest.mark.parametrize(("before", "after"), [(2, 6), (6, 2)])
def test_as_many_children_are_handed_out_as_there_is_room_for_just_now(before, after):
    run, trainers = make_run(40), Trainers(lambda id: (0.1, 0.2, 0.3))
    controller = SearchController(TuneSearcher(run), trainers, max_live=before)
    while run.num_finished < 20:
        controller.step()
    assert trainers.most_live == before
    controller.max_live = after
    while run.num_finished < 30:
        controller.step()
    trainers.most_live = 0
    while not controller.is_finished():
        controller.step()
    assert trainers.most_live == after


def test_a_search_leaves_no_trial_behind_and_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    run = make_run(300)
    few, _ = search(make_run(3), lambda id: (0.5,))
    many, _ = search(run, lambda id: () if id % 7 == 0 else (0.25, 0.5))
    assert statuses(run) == {"completed": 257, "failed": 43}
    assert contents(many) == contents(few)
    assert list(tmp_path.rglob("*")) == []


def contents(controller: SearchController) -> dict[str, int]:
    """How much lies in whatever the controller and its parts keep."""
    parts = [controller, controller._actor_manager, controller._search_alg, controller._actor_cache]
    kept = [(type(part).__name__, name, value) for part in parts for name, value in vars(part).items()]
    return {
        f"{part}.{name}": len(value)
        for part, name, value in kept
        if isinstance(value, list | set | dict | deque)
    }


class StopAtFirstReport(FIFOScheduler):
    def on_trial_result(self, tune_controller, trial, result):
        return TrialScheduler.STOP


def test_a_stopped_child_is_scored_as_reported_and_its_worker_is_asked_to_stop():
    run = make_run(6)
    _, trainers = search(run, lambda id: [0.25] * 1000, scheduler=StopAtFirstReport())
    assert statuses(run) == {"stopped": 6}
    assert {record.reward for record in run.records.values()} == {0.25}
    assert sorted(trainers.stopped) == list(range(6))


@pytest.mark.parametrize("config", [
    SchedulerConfig(name="asha", reduction_factor=2), SchedulerConfig(name="median", min_children=2),
])  # fmt: skip
def test_a_scheduler_of_ours_stops_the_worse_children(config):
    run = make_run(60)
    search(run, lambda id: [0.1 + 0.8 * (id * 37 % 60) / 60] * 8, scheduler=build_scheduler(config, epochs=9))
    scores = {
        status: [record.reward for record in run.records.values() if record.result.status == status]
        for status in ("completed", "stopped")
    }
    assert len(scores["stopped"]) >= 10 and len(scores["completed"]) >= 10
    assert sum(scores["stopped"]) / len(scores["stopped"]) < sum(scores["completed"]) / len(
        scores["completed"]
    )


class Pauses(FIFOScheduler):
    def on_trial_result(self, tune_controller, trial, result):
        return TrialScheduler.PAUSE


def test_a_scheduler_that_pauses_is_refused_with_a_reason():
    with pytest.raises(NotImplementedError, match=r"'save'.* use a scheduler that stops trials"):
        search(make_run(2), lambda id: (0.5, 0.5), scheduler=Pauses())


def test_what_a_listener_raises_ends_the_search_as_it_is():
    class Full:
        def child_proposed(self, record, child): ...

        def epoch_reported(self, record, report):
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        search(make_run(2, listeners=[Full()]), lambda id: (0.5, 0.5))


class TuneStub:
    def get_live_trials(self):
        return ()


def test_median_stopping_decides_as_tunes_own_rule_does():
    """Both get the reports of thirty children of up to six epochs, ten at a time; a stopped child reports
    no more.
    """
    rng = random.Random(0)
    ours = MedianStopping(grace_epochs=2, min_children=3)
    tunes = MedianStoppingRule(
        time_attr="epoch", metric="accuracy", mode="max", grace_period=2,
        min_samples_required=3, min_time_slice=100,
    )  # fmt: skip
    decisions = Counter[str]()
    for first in (0, 10, 20):
        trials = [Trial("t", stub=True, trial_id=str(first + n)) for n in range(10)]
        for epoch in range(1, 7):
            for trial in list(trials):
                said = {"epoch": epoch, "accuracy": rng.random()}
                decision = tunes.on_trial_result(TuneStub(), trial, dict(said))
                assert ours.on_trial_result(TuneStub(), trial, dict(said)) == decision
                decisions[decision] += 1
                if decision == TrialScheduler.STOP:
                    trials.remove(trial)
    assert min(decisions.values()) >= 10 and len(decisions) == 2


def test_median_stopping_keeps_nothing_of_a_child_that_ended_without_a_score():
    rule = MedianStopping(grace_epochs=1, min_children=1)
    trial = Trial("t", stub=True)
    rule.on_trial_result(TuneStub(), trial, {"child_result": None})
    rule.on_trial_complete(TuneStub(), trial, {"done": True})
    assert (rule._curves, dict(rule._means)) == ({}, {})


ADVICE = (
    "Ray has changed: read raynas/engine/tune_controller.py beside ray/tune/execution/tune_controller.py."
)


def test_tune_asks_its_actor_manager_for_nothing_that_ours_does_not_have():
    source = inspect.getsource(TuneController)
    asked = set(re.findall(r"self\._actor_manager\.(\w+)", source))
    # Asked for by export_formats only, which no child has.
    missing = asked - {"_actor_task_events"} - set(dir(ChildActors(Trainers(lambda id: ()))))
    assert asked and not missing, ADVICE


OVERRIDDEN = [
    "stop_trial", "checkpoint", "on_step_begin", "_maybe_update_trial_queue", "_schedule_trial_actor",
    "_remove_actor", "_mark_trial_to_checkpoint", "_validate_result_metrics",
]  # fmt: skip


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_what_the_controller_overrides_is_called_by_tune_with_the_same_arguments(name):
    assert hasattr(TuneController, name), ADVICE
    theirs, ours = (
        inspect.signature(getattr(TuneController, name)),
        inspect.signature(vars(SearchController)[name]),
    )
    assert list(theirs.parameters) == list(ours.parameters), ADVICE
    assert len(re.findall(rf"self\.{name}\(", inspect.getsource(TuneController))) >= 1, ADVICE


def test_the_list_of_what_is_overridden_is_complete():
    ours = {name for name, value in vars(SearchController).items() if inspect.isfunction(value)}
    assert ours == {"__init__", *OVERRIDDEN}


def test_what_the_controller_reads_and_sets_is_there():
    controller = TuneController(
        search_alg=SearchAlgorithm(), resource_manager_factory=lambda: None, checkpoint_period=float("inf")
    )
    names = (
        "_actor_manager", "_actor_to_trial", "_trial_to_actor", "_trials", "_stopped_trials",
        "_pending_trials", "_started_actors", "_search_alg", "_fail_fast", "RAISE", "_actor_started",
        "_max_pending_trials",
    )  # fmt: skip
    assert [name for name in names if not hasattr(controller, name)] == [], ADVICE


def test_children_that_wait_for_an_equal_one_keep_nobody_busy():
    space = make_space("nasnet", num_blocks=1)
    actions = tuple(0 for _ in space.decisions)
    strategy = make_strategy("raynas.strategies.listed:Listed", space, seed=0, architectures=[actions])
    run = Run(space, strategy, num_children=6, reuses=True)
    _, trainers = search(run, lambda child: [0.5, 0.6])
    assert run.is_complete
    assert [record.finished.reused_from for record in run.records.values()] == [None, 0, 0, 0, 0, 0]
    # One is trained. After its submission there is nothing to hurry for.
    assert trainers.most_live == 1
    hurried, *waited = [timeout == 0 for _, timeout in trainers.timeouts]
    assert hurried
    assert not any(waited)
