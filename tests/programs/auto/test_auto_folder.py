"""The state in an automatic run's folder: kept, counted, refused."""

from __future__ import annotations

import json

import pytest

from raynas.errors import InvalidConfig, RunFolderError, UsageError
from raynas.programs.auto import folder as folder_module
from raynas.programs.auto.auto import prepare_auto
from raynas.programs.auto.config import STATE_FILE, AutoConfig, AutoState
from raynas.programs.auto.folder import StateFile, default_folder, read_state
from raynas.programs.auto.plan import Images, Paces, plan_hours

CONFIG = AutoConfig(hours=1)
IMAGES = Images(train=1000, validation=300, image_size=8, channels=1, classes=10)
PACES = Paces(search=500.0, threads=1, networks=(300.0,), reference=100.0)
PLAN = plan_hours(3600, IMAGES, PACES)
STATE = AutoState(config=CONFIG, images=IMAGES, paces=PACES, plan=PLAN, first_plan=PLAN)


class Clock:
    now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(folder_module, "time", clock)
    return clock


def test_the_state_comes_back_as_it_was(tmp_path):
    file = StateFile(tmp_path / "auto", STATE)
    file.update(stage="promotion", ends={"search": 12.0}, left_out={"random": "too late"})
    assert read_state(tmp_path / "auto", CONFIG) == file.state


def test_time_between_two_processes_is_no_work(tmp_path, clock):
    first = StateFile(tmp_path, STATE, began=990.0)
    clock.now = 1090.0
    first.touch()
    clock.now = 50_000.0
    state = read_state(tmp_path, CONFIG)
    assert state is not None
    second = StateFile(tmp_path, state)
    clock.now = 50_200.0
    assert second.seconds_left() == pytest.approx(3600 - 100 - 200)


def test_a_clock_that_is_set_back_gives_no_time_back(tmp_path, clock):
    file = StateFile(tmp_path, STATE)
    clock.now = 1100.0
    file.touch()
    clock.now = 500.0
    assert file.seconds_left() == pytest.approx(3500)


def test_another_folder_is_refused(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(RunFolderError, match=r"holds something else: there is no auto\.json"):
        prepare_auto(data="digits", hours=1, out=tmp_path)


@pytest.mark.parametrize(("field", "value"), [("hours", 2), ("seed", 1), ("space", "darts")])
def test_other_settings_are_refused(tmp_path, field, value):
    StateFile(tmp_path, STATE)
    with pytest.raises(RunFolderError, match=f"was started with {field} = "):
        read_state(tmp_path, AutoConfig.model_validate(CONFIG.model_dump() | {field: value}))


def test_what_no_score_depends_on_may_change(tmp_path):
    StateFile(tmp_path, STATE)
    config = CONFIG.model_copy(update={"export": "pt2"})
    state = read_state(tmp_path, config)
    assert state is not None and state.config.export == "pt2"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("plan", "search", "children"), 0, "plan.search.children"),
        (("paces", "networks"), [], "paces.networks"),
        (("sessions",), [{"began": -1, "seen": 0}], "sessions.0.began"),
        (("stage",), "rm -rf", "stage"),
    ],
)
def test_a_damaged_state_is_refused(tmp_path, path, value, message):
    StateFile(tmp_path, STATE)
    recorded = json.loads((tmp_path / STATE_FILE).read_text())
    inner = recorded
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    (tmp_path / STATE_FILE).write_text(json.dumps(recorded))
    with pytest.raises(InvalidConfig, match=message):
        read_state(tmp_path, CONFIG)


def test_a_torn_state_is_refused(tmp_path):
    (tmp_path / STATE_FILE).write_text('{"format": 1, "conf')
    with pytest.raises(RunFolderError, match="can't be read as JSON"):
        read_state(tmp_path, CONFIG)


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf")])
def test_hours_are_more_than_none(tmp_path, hours):
    with pytest.raises(InvalidConfig, match="hours"):
        prepare_auto(data="digits", hours=hours, out=tmp_path / "auto")


def test_an_unknown_format_is_refused_at_once(tmp_path):
    with pytest.raises(UsageError, match=r"The export format 'tflite' is unknown\. Known: "):
        prepare_auto(data="digits", hours=1, export="tflite", out=tmp_path / "auto")


def test_the_same_data_has_the_same_folder(tmp_path):
    assert default_folder(str(tmp_path / "photos")) == default_folder(f"{tmp_path}/photos/")
