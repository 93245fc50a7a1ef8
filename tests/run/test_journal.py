"""The journal: what was appended is there, a crash costs one line, and damage is an error."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from raynas.child import ChildResult, EpochReport
from raynas.errors import RunFolderError
from raynas.run.events import (
    Driver,
    Event,
    Finished,
    Interrupted,
    Proposed,
    Resized,
    Resumed,
    Started,
)
from raynas.run.journal import Journal, is_being_written, read_events

STARTED = Started(run_id="r1", raynas="0.1.0", time=1.0, config={"children": 3})
PROPOSED = Proposed(child=0, time=2.0, actions=(0, 1, 2), arch_id="0123456789ab", info={"log_probs": [-0.7]})
FINISHED = Finished(
    child=0,
    time=3.0,
    reward=0.5,
    result=ChildResult(
        status="completed",
        accuracy=0.5,
        curve=(EpochReport(epoch=1, accuracy=0.5, train_loss=1.25, seconds=2.0),),
        seconds=2.5,
    ),
)
INTERRUPTED = Interrupted(time=5.0, reason="SIGTERM", children=(0, 2))
EVENTS: list[Event] = [STARTED, PROPOSED, FINISHED, Resumed(time=4.0, children=5)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "one" / "journal.jsonl"


@pytest.fixture
def written(path: Path) -> Path:
    """A closed journal of four events."""
    with Journal.create(path, STARTED) as journal:
        for event in EVENTS[1:]:
            journal.append(event)
    return path


numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
times = st.floats(0, 4e9)
shares = st.floats(0, 1)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), values, max_size=3)
reports = st.builds(
    EpochReport, epoch=st.integers(1, 10**6), accuracy=shares, train_loss=numbers, seconds=times
)
results = st.builds(
    ChildResult,
    status=st.sampled_from(["completed", "stopped", "failed", "infeasible"]),
    accuracy=st.none() | shares,
    curve=st.lists(reports, max_size=3).map(tuple),
    seconds=times,
    reason=st.text(),
)
later_events = st.one_of(
    st.builds(
        Proposed,
        child=st.integers(0, 10**6),
        time=times,
        actions=st.lists(st.integers(0, 12), max_size=6).map(tuple),
        arch_id=st.text("0123456789abcdef", min_size=12, max_size=12),
        parameters=st.none() | st.integers(0, 2**40),
        mult_adds=st.none() | st.integers(0, 2**50),
        activations=st.none() | st.integers(0, 2**50),
        info=objects,
    ),
    st.builds(Finished, child=st.integers(0, 10**6), time=times, reward=st.none() | numbers, result=results),
    st.builds(
        Resumed,
        time=times,
        children=st.integers(1, 10**6),
        driver=st.none() | st.builds(Driver, host=st.text(), slots=st.integers(1, 10**4)),
    ),
    st.builds(Resized, time=times, slots=st.integers(0, 10**4)),
    st.builds(
        Interrupted,
        time=times,
        reason=st.text(),
        children=st.lists(st.integers(0, 10**6), max_size=3).map(tuple),
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(events=st.lists(later_events, max_size=4), config=objects)
def test_events_are_read_back_as_they_were_appended(tmp_path, events, config):
    path = tmp_path / "journal.jsonl"
    path.unlink(missing_ok=True)
    started = STARTED.model_copy(update={"config": config})
    with Journal.create(path, started) as journal:
        for event in events:
            journal.append(event)
    assert read_events(path) == [started, *events]
    assert len(path.read_bytes().splitlines()) == 1 + len(events)


def test_an_event_is_on_the_disk_when_append_returns(path):
    with Journal.create(path, STARTED) as journal:
        journal.append(PROPOSED)
        assert read_events(path) == [STARTED, PROPOSED]


def test_a_reopened_journal_goes_on_where_it_ended(written):
    journal, events = Journal.reopen(written)
    with journal:
        journal.append(PROPOSED)
    assert events == EVENTS
    assert read_events(written) == [*EVENTS, PROPOSED]


@pytest.mark.parametrize("torn", [b'{"kind":"finis', b"\x00\x00\x00", b"{", b'{"kind":"resumed","time":1.0}'])
def test_a_torn_last_line_is_dropped_and_cut_off_on_reopening(written, torn):
    whole = written.read_bytes()
    written.write_bytes(whole + torn)
    assert read_events(written) == EVENTS
    assert written.read_bytes() == whole + torn, "reading changes nothing"
    journal, events = Journal.reopen(written)
    with journal:
        journal.append(PROPOSED)
    assert events == EVENTS
    assert read_events(written) == [*EVENTS, PROPOSED]


def test_every_way_of_tearing_the_last_line_costs_that_line_alone(written):
    whole = written.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for lost in range(1, last + 1):
        written.write_bytes(whole[:-lost])
        assert read_events(written) == EVENTS[:-1]


@pytest.mark.parametrize("garbled", [b"", b"{", b"no json", b"\xff\xfe", b"[]", b"null", b'{"kind":"other"}'])
def test_a_garbled_line_in_the_middle_is_an_error_that_names_file_and_line(written, garbled):
    lines = written.read_bytes().splitlines()
    written.write_bytes(b"\n".join([lines[0], garbled, *lines[2:]]) + b"\n")
    before = written.read_bytes()
    for read in (read_events, Journal.reopen):
        with pytest.raises(RunFolderError) as caught:
            read(written)
        assert f"{written}, line 2: " in str(caught.value)
        assert f"head -n 1 {written}.damaged > {written}" in str(caught.value)
    assert written.read_bytes() == before


def test_a_journal_that_could_not_be_read_is_unlocked_again(written):
    whole = written.read_bytes()
    written.write_bytes(b"garbled\n" + whole)
    with pytest.raises(RunFolderError):
        Journal.reopen(written)
    written.write_bytes(whole)
    journal, _ = Journal.reopen(written)
    journal.close()


def test_a_second_start_is_an_error(written):
    with written.open("ab") as file:
        file.write(STARTED.model_dump_json().encode() + b"\n")
    with pytest.raises(RunFolderError, match="line 5: a journal opens with one 'started' event"):
        read_events(written)


def test_a_journal_that_does_not_open_with_a_start_is_an_error(path):
    path.parent.mkdir(parents=True)
    path.write_text(PROPOSED.model_dump_json() + "\n")
    with pytest.raises(RunFolderError, match=r"line 1: a journal opens .* here it is 'proposed'"):
        read_events(path)


@pytest.mark.parametrize("content", [b"", b'{"kind":"star'], ids=["empty", "torn"])
def test_a_journal_without_a_whole_line_is_an_error(path, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    for read in (read_events, Journal.reopen):
        with pytest.raises(RunFolderError, match="is empty"):
            read(path)


class Exploding:
    def __reduce__(self) -> Any:
        return pytest.fail, ("a journal was unpickled",)


def test_a_pickle_is_data_and_no_journal(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(Exploding()) + b"\n")
    with pytest.raises(RunFolderError, match="line 1"):
        read_events(path)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_unknown_field_is_refused(written, event):
    garbled = json.dumps(event.model_dump(mode="json") | {"colour": "red"})
    lines = written.read_text().splitlines()
    number = EVENTS.index(event)
    written.write_text("\n".join([*lines[:number], garbled, *lines[number + 1 :]]) + "\n")
    with pytest.raises(RunFolderError, match=f"line {number + 1}: .*colour"):
        read_events(written)


@pytest.mark.parametrize("arch_id", ["", "0123456789a", "0123456789abc", "0123456789aB", "0123456789ab\n"])
def test_an_arch_id_is_twelve_hex_digits(arch_id):
    with pytest.raises(ValidationError, match="arch_id"):
        Proposed(child=0, time=1.0, actions=(), arch_id=arch_id)


def test_a_journal_of_another_format_is_refused(written):
    before = written.read_text().replace('"format":2', '"format":3,"hue":9').replace('"0.1.0"', '"7.5"')
    written.write_text(before)
    for read in (read_events, Journal.reopen):
        with pytest.raises(
            RunFolderError, match=r"is in journal format 3, written by raynas '7\.5'; this raynas"
        ):
            read(written)
    assert written.read_text() == before


def test_a_journal_of_the_format_before_is_read_and_gone_on_with(written):
    written.write_text(written.read_text().replace('"format":2', '"format":1'))
    journal, events = Journal.reopen(written)
    with journal:
        journal.append(INTERRUPTED)
    assert events == [STARTED.model_copy(update={"format": 1}), *EVENTS[1:]]
    assert read_events(written)[-1] == INTERRUPTED


@pytest.mark.parametrize("format", ["true", '"2"', "null", "[3]", "-1", "0", "1e9"])
def test_a_format_that_is_none_is_refused(written, format):
    written.write_text(written.read_text().replace('"format":2', f'"format":{format}'))
    with pytest.raises(RunFolderError, match=r"line 1: started\.format|is in journal format"):
        read_events(written)


@pytest.mark.parametrize("loss", [math.inf, -math.inf, math.nan])
def test_a_report_whose_loss_is_no_number_can_be_read_back(path, loss):
    report = EpochReport(epoch=1, accuracy=0.5, train_loss=loss, seconds=1.0)
    finished = Finished(
        child=0, time=1.0, reward=0.5, result=ChildResult(status="completed", accuracy=0.5, curve=(report,))
    )
    with Journal.create(path, STARTED) as journal:
        journal.append(PROPOSED)
        journal.append(finished)
    assert len(read_events(path)) == 3


def test_a_journal_is_written_by_one_process_at_a_time(path):
    with Journal.create(path, STARTED):
        for attempt in (Journal, Journal.reopen):
            with pytest.raises(RunFolderError, match="being written by another process"):
                attempt(path)
        assert read_events(path) == [STARTED]
    Journal.reopen(path)[0].close()


def test_a_new_journal_does_not_touch_one_that_is_there(written):
    before = written.read_bytes()
    with pytest.raises(RunFolderError, match=r"exists already\. Resume that run"):
        Journal.create(written, STARTED)
    assert written.read_bytes() == before


def test_who_looks_sees_a_lock_and_takes_none(path, monkeypatch):
    with Journal.create(path, STARTED):
        monkeypatch.setattr("fcntl.flock", lambda *_: pytest.fail("a lock was taken"))
        assert is_being_written(path)
        monkeypatch.undo()
    assert is_being_written(path) is False


def test_where_the_system_does_not_list_its_locks_nothing_is_known(written, monkeypatch):
    monkeypatch.setattr("raynas.run.journal.LOCKS", Path("/nowhere/locks"))
    assert is_being_written(written) is None


@pytest.mark.parametrize("time", ["NaN", "Infinity", "-1.0", "1e300"])
def test_a_time_that_is_none_is_refused(written, time):
    written.write_text(written.read_text().replace('"time":3.0', f'"time":{time}'))
    with pytest.raises(RunFolderError, match=r"line 3: finished\.time"):
        read_events(written)


@pytest.mark.parametrize("read", [read_events, Journal.reopen])
def test_a_missing_journal_is_an_error_and_is_not_made(path, read):
    with pytest.raises(RunFolderError, match="does not exist"):
        read(path)
    assert not path.exists()


FULL_DISK = """
import resource, sys
from pathlib import Path
from raynas.errors import JournalFailed
from raynas.run.events import Resized, Resumed, Started
from raynas.run.journal import Journal
path = Path(sys.argv[1])
started = Started(run_id="r", raynas="0", time=0.0, config={})
journal = Journal.create(path, started)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
room = path.stat().st_size + 10
resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
try:
    journal.append(Resumed(time=1.0, children=1))
except JournalFailed as failure:
    print(failure)
print(path.read_bytes().count(b"\\n"), path.stat().st_size == room - 10)
try:
    Journal.create(path.with_name("other.jsonl"), started.model_copy(update={"raynas": "0" * 999}))
except JournalFailed:
    print(sorted(file.name for file in path.parent.iterdir()))
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
journal.append(Resumed(time=2.0, children=2))
"""


def test_an_event_for_which_there_is_no_room_is_not_there_and_what_was_before_is_intact(path):
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    message, size, files = ended.stdout.splitlines()
    assert message.startswith(f"{path} can't be written: File too large. What it holds is intact")
    assert size == "1 True"
    assert files == "['journal.jsonl']"
    assert read_events(path)[1:] == [Resumed(time=2.0, children=2)]


def test_where_nothing_can_be_made_a_new_journal_is_a_users_mistake(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="can't be written: File exists"):
        Journal.create(tmp_path / "file" / "journal.jsonl", STARTED)
