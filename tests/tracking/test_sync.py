"""`raynas sync`: afterwards MLflow has of a run what it would have without the outage, and nothing twice."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.errors import RunFolderError, TrackingFailed
from raynas.files import JOURNAL_FILE
from raynas.nn import Complexity
from raynas.programs.search.config import SearchConfig
from raynas.programs.search.open_run import open_tracker
from raynas.programs.search.prepare import PreparedSearch
from raynas.programs.search.recipes import search_config
from raynas.programs.sync import sync_run
from raynas.run.events import Resumed, Started
from raynas.run.journal import Journal, read_events
from raynas.run.run import Run
from raynas.tracking import search_runs, writer
from raynas.tracking.search_tracker import SearchTracker
from tests.tracking.two_stores import TwiceTracked, TwoStores, content, fails

pytestmark = pytest.mark.usefixtures("by_requests")

OUTAGE = MlflowException("API request to http://host/api failed")
REFUSAL = MlflowException("no such thing", error_code=INVALID_PARAMETER_VALUE)
WRITES = ("create_run", "log_batch", "set_terminated", "update_run", "set_tag", "log_artifacts")
ALL = (*WRITES, "search_runs")
SETTINGS = {
    "children": 6,
    "data": {"source": "digits"},
    "space": {"num_blocks": 1},
    "strategy": {"name": "ppo", "batch_size": 1, "hidden_units": 4},
    "limits": {"parameters": 8},
}


def tracked(config: SearchConfig, folder: Path, started: Started) -> SearchTracker:
    found = open_tracker(PreparedSearch(folder, config), started)
    assert found is not None
    return found


def begin(place: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> TwiceTracked:
    folder, other_store = place / "runs" / "one", place / "other" / "mlflow.db"
    for store in (folder.parent / "mlflow.db", other_store):
        store.parent.mkdir()
        shutil.copy(empty_store, store)
    config = search_config(settings=SETTINGS)
    started = Started(run_id="r1", raynas="0", time=1e9, config=config.model_dump(mode="json"))
    journal = Journal.create(folder / JOURNAL_FILE, started)
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other_store}")
        undisturbed = tracked(config, folder, started)
    tracker = tracked(config, folder, started)
    space, sizes = config.make_space(), itertools.cycle([8, 9, 1])
    run = Run(
        space,
        config.make_strategy(space),
        num_children=config.children,
        journal=journal,
        listeners=[undisturbed, tracker],
        measure=lambda genotype: Complexity(next(sizes), 5, 6),
        limits=config.limits,
    )
    return TwiceTracked(folder, other_store, run, journal, undisturbed, tracker)


@pytest.fixture
def twice(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> TwiceTracked:
    return begin(tmp_path, empty_store, monkeypatch)


@pytest.fixture(scope="module")
def missed_once(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> TwoStores:
    place = tmp_path_factory.mktemp("missed")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(search_runs, "child_transaction", lambda client, experiment: None)
        patch.setattr(writer, "FIRST_PAUSE_SECONDS", 0.001)
        twice = begin(place, empty_store, patch)
        twice.finish(3)
        twice.wait_until_written()
        fails(patch, twice, ALL, OUTAGE)
        twice.finish(3)
        twice.end("FINISHED")
    return twice


@pytest.fixture
def missed(missed_once: TwoStores, tmp_path: Path) -> TwoStores:
    """A search that has ended, and whose store went away after three of its six children."""
    return missed_once.copied(missed_once.folder.parents[1], tmp_path / "copy")


@pytest.mark.slow
@pytest.mark.parametrize(
    "methods", [ALL, ("create_run",), ("log_batch",), ("set_terminated",)], ids=lambda names: "-".join(names)
)
def test_after_an_outage_in_the_middle_the_store_is_as_if_there_had_been_none(twice, monkeypatch, methods):
    twice.finish(3)
    twice.wait_until_written()
    with monkeypatch.context() as patch:
        fails(patch, twice, methods, OUTAGE)
        twice.finish(3)
        twice.end("FINISHED")
    assert twice.found != twice.wanted
    result = sync_run(twice.folder)
    assert twice.found == twice.wanted
    assert (result.num_children, result.status, result.uri) == (6, "FINISHED", twice.uri)
    assert len(twice.found) == 1 + 6


def test_what_is_compared_is_not_empty(missed):
    sync_run(missed.folder)
    parent = missed.found["one"]
    assert {"kl", "baseline", "best_accuracy", "children_finished", "children_infeasible"} <= set(
        parent["metrics"]
    )
    assert [step for step, *_ in parent["metrics"]["children_finished"]] == list(range(1, 7))
    assert set(parent["artifacts"]) == {"config.json"}
    statuses = Counter(child["params"]["status"] for name, child in missed.found.items() if name != "one")
    assert statuses == {"completed": 3, "stopped": 2, "failed": 1}


def test_a_second_sync_writes_nothing(missed, monkeypatch):
    assert sync_run(missed.folder).num_added == 3
    before = sorted(
        MlflowClient(missed.uri).search_runs(["1"], max_results=100), key=lambda run: run.info.run_id
    )
    fails(monkeypatch, missed, WRITES, AssertionError("a request to write"))
    result = sync_run(missed.folder)
    after = sorted(
        MlflowClient(missed.uri).search_runs(["1"], max_results=100), key=lambda run: run.info.run_id
    )
    assert (result.num_added, result.num_children, result.status) == (0, 6, "FINISHED")
    assert [dict(run.info) for run in after] == [dict(run.info) for run in before]


def test_a_sync_changes_no_run_that_was_tracked_to_its_end(twice, monkeypatch):
    twice.finish(6)
    twice.wait_until_written()
    twice.end("FINISHED")
    fails(monkeypatch, twice, WRITES, AssertionError("a request to write"))
    assert sync_run(twice.folder).num_added == 0
    assert twice.found == twice.wanted


def test_a_run_that_was_not_tracked_at_all_is_written_whole(missed, empty_store, tmp_path):
    shutil.copy(empty_store, tmp_path / "third.db")
    uri = f"sqlite:///{tmp_path / 'third.db'}"
    assert sync_run(missed.folder, uri=uri).num_added == 6
    assert content(uri) == missed.wanted


def test_a_resumed_run_keeps_its_first_params_and_has_its_last_config(missed, empty_store, tmp_path):
    with Journal(missed.folder / JOURNAL_FILE) as journal:
        journal.append(Resumed(time=2e9, children=7))
    shutil.copy(empty_store, tmp_path / "third.db")
    uri = f"sqlite:///{tmp_path / 'third.db'}"
    assert sync_run(missed.folder, uri=uri).status == "KILLED"
    parent = content(uri)["one"]
    assert parent["params"]["children"] == "6"
    assert b'"children": 7' in parent["artifacts"]["config.json"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("told", "status"), [("RUNNING", "KILLED"), ("KILLED", "KILLED"), ("FAILED", "FAILED")]
)
def test_an_unfinished_run_has_ended_as_mlflow_knows_or_was_killed(twice, told, status):
    twice.finish(3)
    twice.end("KILLED")
    (parent,) = MlflowClient(twice.uri).search_runs(["1"], "tags.`raynas.kind` = 'search'")
    MlflowClient(twice.uri).update_run(parent.info.run_id, status=told)
    assert sync_run(twice.folder).status == status
    assert twice.found["one"]["status"] == status


def test_a_run_that_ends_in_the_journal_ends_there_in_mlflow(missed):
    sync_run(missed.folder)
    (parent,) = MlflowClient(missed.uri).search_runs(["1"], "tags.`raynas.kind` = 'search'")
    last = max(event.time for event in read_events(missed.folder / JOURNAL_FILE))
    assert parent.info.end_time == round(last * 1000)


def test_an_outage_during_the_sync_is_told_and_the_next_sync_goes_on(missed, monkeypatch):
    with monkeypatch.context() as patch:
        original, left = MlflowClient.create_run, iter(range(2))

        def fails_at_the_third(*args: Any, **words: Any) -> Any:
            if next(left, None) is None:
                raise OUTAGE
            return original(*args, **words)

        patch.setattr(MlflowClient, "create_run", fails_at_the_third)
        with pytest.raises(TrackingFailed, match=r"MLflow stopped answering: .*http://host/api failed"):
            sync_run(missed.folder)
    assert len(missed.found) == 1 + 3 + 2
    assert sync_run(missed.folder).num_added == 1
    assert missed.found == missed.wanted


def test_a_short_outage_during_the_sync_is_waited_for(missed, monkeypatch):
    original, failures = MlflowClient.create_run, iter(range(3))

    def fails_thrice(*args: Any, **words: Any) -> Any:
        if next(failures, None) is not None:
            raise OUTAGE
        return original(*args, **words)

    monkeypatch.setattr(MlflowClient, "create_run", fails_thrice)
    assert sync_run(missed.folder).num_added == 3
    assert missed.found == missed.wanted


def test_a_child_that_mlflow_refuses_is_told_and_does_not_hold_up_the_others(missed, monkeypatch):
    with monkeypatch.context() as patch:
        original = MlflowClient.create_run

        def refuses_one(self: MlflowClient, *args: Any, **words: Any) -> Any:
            if words["run_name"].endswith(" child 6"):
                raise REFUSAL
            return original(self, *args, **words)

        patch.setattr(MlflowClient, "create_run", refuses_one)
        with pytest.raises(TrackingFailed, match="refused 1 of the writes, the first with: no such thing"):
            sync_run(missed.folder)
    assert len(missed.found) == 1 + 5
    sync_run(missed.folder)
    assert missed.found == missed.wanted


def test_the_journal_stays_as_it_is_and_a_torn_line_too(missed):
    path = missed.folder / JOURNAL_FILE
    path.write_bytes(path.read_bytes() + b'{"kind":"finis')
    before, changed = path.read_bytes(), path.stat().st_mtime_ns
    sync_run(missed.folder)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, changed)
    assert missed.found == missed.wanted


def test_a_promotion_names_the_run_that_it_is_from(tmp_path, empty_store):
    store = Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))
    config = search_config(settings=SETTINGS | {"origin": {"run_id": "r0", "folder": "runs/zero"}})
    started = Started(run_id="r1", raynas="0", time=1e9, config=config.model_dump(mode="json"))
    Journal.create(tmp_path / "one" / JOURNAL_FILE, started).close()
    assert sync_run(tmp_path / "one").num_children == 0
    assert content(f"sqlite:///{store}")["one"]["tags"]["raynas.promoted_from"] == "r0"


def call(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["sync", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_the_command_says_what_it_added(missed):
    code, out, _ = call(str(missed.folder))
    assert (code, out) == (
        0,
        f"{missed.folder}: 3 of 6 children added, the run is FINISHED, at {missed.uri}\n",
    )


def test_a_run_that_goes_on_is_refused_and_its_driver_is_left_alone(twice):
    before = twice.found
    code, _, error = call(str(twice.folder))
    assert code == 2
    assert "a search, or another sync, is at work on it" in error
    assert twice.found == before
    twice.finish(1)
    twice.end("KILLED")
    assert call(str(twice.folder))[0] == 0


def test_two_syncs_do_not_run_at_once(missed):
    def second(done: int, total: int) -> None:
        with pytest.raises(RunFolderError, match="another sync"):
            sync_run(missed.folder)

    sync_run(missed.folder, report=second)
    assert missed.found == missed.wanted


def test_a_store_that_can_not_be_used_is_named(missed):
    code, _, error = call(str(missed.folder), "--uri", "nonsense://host")
    assert code == 2
    assert "MLflow can't be used at nonsense://host" in error


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("training.json", "{}", "holds a final training, and no search"),
        (JOURNAL_FILE, "garbled\n", "line 1: "),
        ("notes.txt", "", "holds no run"),
    ],
)
def test_a_folder_that_is_no_search_is_refused(tmp_path, name, text, message):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / name).write_text(text)
    code, _, error = call(str(tmp_path / "one"))
    assert (code, message in error) == (2, True)
    assert not (tmp_path / "mlflow.db").exists()


def test_a_journal_that_contradicts_itself_is_refused(missed):
    path = missed.folder / JOURNAL_FILE
    path.write_text(path.read_text().replace('"actions":[', '"actions":[77,'))
    code, _, error = call(str(missed.folder))
    assert code == 2
    assert "is not from this space" in error
