"""An automatic run keeps its hours and ends, whenever it is killed; on a made-up clock, without training."""

from __future__ import annotations

import contextlib
import types
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from raynas.programs.auto import auto, folder, stages
from raynas.programs.auto.auto import PreparedAuto, run_auto
from raynas.programs.auto.config import AutoConfig, AutoState
from raynas.programs.auto.folder import read_state
from raynas.programs.auto.plan import BASELINES, TRAINING_START, Images, Paces, plan_hours

CONFIG = AutoConfig(hours=1)
SECONDS = CONFIG.hours * 3600
IMAGES = Images(train=1000, validation=300, image_size=32, channels=3, classes=10)
PACES = Paces(search=200.0, threads=1, networks=(100.0, 50.0), reference=40.0)
PLAN = plan_hours(SECONDS, IMAGES, PACES)
STEP = 10.0
"""Seconds after which something is reported, and the process may be killed."""


class Killed(Exception):
    """The process is no more."""


class Machine:
    """Stands for everything that takes time; `time` is its clock."""

    def __init__(self, kills: Sequence[float], slowdown: float) -> None:
        self.now, self.worked = 1000.0, 0.0
        self.kills = list(kills)
        self.slowdown = slowdown
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """Work that was done for each part, by its name; it survives a kill."""
        self.ended: list[str] = []

    def time(self) -> float:
        return self.now

    def work(self, name: str, seconds: float, report: Callable[[], None]) -> None:
        while self.seconds[name] < seconds:
            self.seconds[name] += STEP
            self.now += STEP
            self.worked += STEP
            report()
            if self.kills and self.worked >= self.kills[0]:
                self.kills.pop(0)
                raise Killed
        self.ended.append(name)

    def run(self, name: str, state: AutoState, seconds: float, listeners: Sequence[Any]) -> Any:
        """A search or promotion, which ends in the time that it is given."""
        already = self.seconds[name]
        self.work(name, already + seconds, lambda: listeners[0].epoch_reported(None, None))
        entry = types.SimpleNamespace(arch_id="a", reward=0.5)
        return types.SimpleNamespace(leaderboard=[entry], epoch_seconds=None)

    def rate(self, state: AutoState, finalist: stages.Finalist) -> float:
        assert finalist.name
        return PACES.networks[0] / self.slowdown

    def train(self, state: AutoState, finalist: stages.Finalist, report: Callable[..., None]) -> None:
        seconds = state.plan.training.epochs * IMAGES.work() / self.rate(state, finalist) + TRAINING_START
        summary = types.SimpleNamespace(epoch=1, top1=0.5)
        self.work(finalist.name, seconds, lambda: report(finalist.name, summary))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Machine, AutoState]]:
    """Runs it, again after each kill, with a pause in between."""

    def run(*, kills: Sequence[float] = (), slowdown: float = 1.0) -> tuple[Machine, AutoState]:
        machine = Machine(kills, slowdown)
        names = ("winner", *BASELINES)
        all_finalists = [stages.Finalist(name, None, None) for name in names]
        replaced: dict[Any, dict[str, Any]] = {
            folder: {"time": machine},
            stages: {
                "run_search": lambda _, *rest: machine.run("search", *rest),
                "run_promotion": lambda _, *rest: machine.run("promotion", *rest),
                "finalists": lambda *_: all_finalists,
                "is_trained": lambda _, name: name in machine.ended,
                "train_finalist": lambda _, *rest: machine.train(*rest),
            },
            auto: {
                "connected": lambda **_: contextlib.nullcontext(),
                "_rate": machine.rate,
                "_finish": lambda file: file.touch(),
            },
        }
        for module, names_of in replaced.items():
            for name, replacement in names_of.items():
                monkeypatch.setattr(module, name, replacement)
        state: AutoState | None = AutoState(
            config=CONFIG, images=IMAGES, paces=PACES, plan=PLAN, first_plan=PLAN
        )
        for _ in range(len(kills) + 1):
            assert state is not None
            with contextlib.suppress(Killed):
                run_auto(PreparedAuto(tmp_path, state, is_new=False, began=machine.now))
            machine.now += 100_000
            state = read_state(tmp_path, CONFIG)
        assert state is not None
        return machine, state

    return run


@pytest.mark.parametrize("kills", [(), (50,), (500, 1600), (1500, 2000, 2100), (3000, 3100)])
@pytest.mark.parametrize("slowdown", [0.5, 1.0, 3.0])
def test_hours_are_kept_and_every_part_ends_once(run, kills, slowdown):
    machine, state = run(kills=kills, slowdown=slowdown)
    assert state.stage == "done" and not state.left_out
    assert machine.ended == ["search", "promotion", "winner", *BASELINES]
    assert list(state.ends) == ["search", "promotion", "training"]
    assert state.spent_seconds == pytest.approx(machine.worked)
    assert state.spent_seconds == pytest.approx(SECONDS, rel=0.15)


def test_baselines_that_would_end_too_late_are_left_out(run, monkeypatch):
    monkeypatch.setattr("raynas.programs.auto.auto.TRAINING_START", SECONDS)
    machine, state = run()
    assert machine.ended == ["search", "promotion", "winner"]
    assert set(state.left_out) == set(BASELINES)
    assert state.left_out["random"].endswith("beyond 115% of the hours")
