"""A resume with a snapshot ends where one without does, and what is no good snapshot isn't used."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from raynas.child import ChildResult
from raynas.errors import RunFolderError
from raynas.files import JOURNAL_FILE as JOURNAL
from raynas.programs.search import snapshots as snapshots_module
from raynas.programs.search.snapshots import SNAPSHOT_FILE, UPDATES_PER_SNAPSHOT, Snapshots
from raynas.run.events import Started
from raynas.run.journal import Journal, read_events
from raynas.run.records import RunListener
from raynas.run.run import Run
from raynas.strategies.ppo import PPO
from raynas.strategies.strategy import make_strategy
from search_spaces.nasnet import NASNetSpace
from tests.run.builders import policy_version
from tests.strategies.test_strategy_contract import state

SPACE = NASNetSpace(num_blocks=1)
OPTIONS = {"batch_size": 2, "hidden_units": 5}
FIRST = 2 * UPDATES_PER_SNAPSHOT + 5
"""Children of the first process: one snapshot, and another rest of a mini-batch."""


class Heard(RunListener):
    def __init__(self) -> None:
        self.statistics: list[dict[str, float]] = []

    def policy_updated(self, statistics: dict[str, float]) -> None:
        self.statistics.append(statistics)


def new_run(folder: Path, name: str, *listeners: RunListener, **words: Any) -> tuple[Run, Snapshots]:
    strategy = make_strategy(name, SPACE, seed=3, **OPTIONS)
    snapshots = Snapshots(strategy, folder / JOURNAL)
    return Run(SPACE, strategy, listeners=[snapshots, *listeners], **words), snapshots


def train(run: Run, num_children: int) -> None:
    """Two at a time, one in seven of which fails."""
    running = [run.next_child()]
    for _ in range(num_children):
        running.append(run.next_child())
        child = running.pop(0)
        assert child is not None
        accuracy = int(child.arch_id, 16) % 1000 / 1000
        done = ChildResult(status="completed", accuracy=accuracy)
        run.finish(child.id, ChildResult(status="failed", reason="boom") if child.id % 7 == 3 else done)


@pytest.fixture(params=["ppo", "ego"])
def name(request) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path, name: str) -> Path:
    """Of a run that was killed after its first snapshot."""
    with Journal.create(tmp_path / JOURNAL, Started(run_id="1", raynas="0", time=0.0, config={})) as journal:
        run, _ = new_run(tmp_path, name, journal=journal)
        run.replay([])
        train(run, num_children=FIRST * 7 // 6)
    assert (tmp_path / SNAPSHOT_FILE).exists()
    return tmp_path


def resumed(folder: Path, name: str, *, recalls: bool = True) -> tuple[Run, int, Heard]:
    heard = Heard()
    run, snapshots = new_run(folder, name, heard)
    saved = snapshots.recall() if recalls else 0
    run.replay(read_events(folder / JOURNAL))
    return run, saved, heard


def test_a_resume_that_recalls_ends_where_one_that_learns_does(folder, name, monkeypatch):
    learned, _, heard_learning = resumed(folder, name, recalls=False)
    updates: list[dict[str, float]] = []
    real = PPO._update

    def counted(*args: Any) -> dict[str, float]:
        updates.append(real(*args))
        return updates[-1]

    monkeypatch.setattr(PPO, "_update", counted)
    recalled, saved, heard_recalling = resumed(folder, name)
    assert saved == UPDATES_PER_SNAPSHOT
    assert len(updates) == policy_version(learned) - UPDATES_PER_SNAPSHOT > 0
    assert state(recalled.strategy) == state(learned.strategy)
    assert heard_recalling.statistics == heard_learning.statistics
    assert len(heard_learning.statistics) == policy_version(learned)


def test_what_follows_a_recall_is_what_follows_without_one(folder, name):
    learned, _, _ = resumed(folder, name, recalls=False)
    recalled, _, _ = resumed(folder, name)
    for run in (learned, recalled):
        train(run, num_children=30)
    assert state(recalled.strategy) == state(learned.strategy)
    assert [event.actions for event in recalled.events if event.kind == "proposed"] == [
        event.actions for event in learned.events if event.kind == "proposed"
    ]


def test_the_next_snapshot_counts_from_the_last(folder, name):
    before = (folder / SNAPSHOT_FILE).read_bytes()
    journal, events = Journal.reopen(folder / JOURNAL)
    with journal:
        run, snapshots = new_run(folder, name, journal=journal)
        snapshots.recall()
        run.replay(events)
        while policy_version(run) < 2 * UPDATES_PER_SNAPSHOT:
            assert (folder / SNAPSHOT_FILE).read_bytes() == before
            train(run, num_children=1)
    assert resumed(folder, name)[1] == 2 * UPDATES_PER_SNAPSHOT


def damaged(path: Path) -> dict[str, bytes]:
    content = path.read_bytes()
    arrays = safetensors.numpy.load(content)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    header = 8 + int.from_bytes(content[:8], "little")
    flipped = bytearray(content)
    flipped[header + 40] ^= 1
    return {
        "empty": b"",
        "torn": content[: len(content) // 2],
        "a bit of a weight": bytes(flipped),
        "another journal": safetensors.numpy.save(arrays, metadata | {"journal_sha256": "0" * 64}),
        "no metadata": safetensors.numpy.save(arrays),
        "no length": safetensors.numpy.save(arrays, metadata | {"journal_bytes": "many"}),
        "no safetensors": b"\x80\x02cos\nsystem\n",
    }


DAMAGES = (
    "empty", "torn", "a bit of a weight", "another journal", "no metadata", "no length", "no safetensors",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_snapshot_is_not_used(folder, name, what):
    whole, _, _ = resumed(folder, name, recalls=False)
    (folder / SNAPSHOT_FILE).write_bytes(damaged(folder / SNAPSHOT_FILE)[what])
    run, saved, _ = resumed(folder, name)
    assert saved == 0
    assert state(run.strategy) == state(whole.strategy)


def test_a_snapshot_is_not_used_with_a_changed_journal(folder, name):
    lines = (folder / JOURNAL).read_text().splitlines(keepends=True)
    scored = next(index for index, line in enumerate(lines) if '"completed"' in line)
    lines[scored] = lines[scored].replace('"reward":0.', '"reward":1.')
    (folder / JOURNAL).write_text("".join(lines))
    assert resumed(folder, name)[1] == 0


def test_a_snapshot_of_later_events_than_the_journal_has_is_not_used(folder, name):
    lines = (folder / JOURNAL).read_text().splitlines(keepends=True)
    (folder / JOURNAL).write_text("".join(lines[:20]))
    assert resumed(folder, name)[1] == 0


def test_a_snapshot_that_claims_more_updates_than_there_are_is_refused(folder, name):
    run, snapshots = new_run(folder, name)
    snapshots.recall()
    with pytest.raises(RunFolderError, match=r"learned\.safetensors knows of more updates .* Delete it"):
        run.replay(read_events(folder / JOURNAL)[:20])


def test_a_snapshot_of_another_controller_is_not_used(folder, name):
    strategy = make_strategy(name, SPACE, seed=3, **(OPTIONS | {"hidden_units": 6}))
    assert Snapshots(strategy, folder / JOURNAL).recall() == 0


@pytest.mark.slow
@pytest.mark.parametrize("change", ["missing", "shape", "type", "nan", "no history"])
def test_arrays_that_are_not_the_controllers_are_refused(folder, name, change):
    arrays = safetensors.numpy.load_file(folder / SNAPSHOT_FILE)
    weight = "weight.head_bias_TK"
    if change == "missing":
        del arrays[weight]
    elif change == "no history":
        arrays["statistics"] = arrays["statistics"][:0]
    else:
        arrays[weight] = {
            "shape": arrays[weight][:1],
            "type": arrays[weight].astype(np.float64),
            "nan": np.full_like(arrays[weight], np.nan),
        }[change]
    strategy = make_strategy(name, SPACE, seed=3, **OPTIONS)
    with pytest.raises(ValueError, match="the arrays h"):
        strategy.recall(arrays)
    assert not strategy.is_behind


def test_a_full_disk_costs_the_snapshot_and_nothing_else(folder, name, monkeypatch):
    def full(path: Path, write: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = (folder / SNAPSHOT_FILE).read_bytes()
    monkeypatch.setattr(snapshots_module, "replace_file", full)
    journal, events = Journal.reopen(folder / JOURNAL)
    with journal:
        run, _ = new_run(folder, name, journal=journal)
        run.replay(events)
        train(run, num_children=3 * UPDATES_PER_SNAPSHOT)
    assert (folder / SNAPSHOT_FILE).read_bytes() == before
    assert resumed(folder, name)[1] == UPDATES_PER_SNAPSHOT


def test_a_strategy_that_learns_quickly_leaves_no_snapshot(tmp_path):
    with Journal.create(tmp_path / JOURNAL, Started(run_id="1", raynas="0", time=0.0, config={})) as journal:
        strategy = make_strategy("reinforce", SPACE, seed=3)
        run = Run(SPACE, strategy, journal=journal, listeners=[Snapshots(strategy, journal.path)])
        run.replay([])
        train(run, num_children=3 * UPDATES_PER_SNAPSHOT)
    assert [path.name for path in tmp_path.iterdir()] == [JOURNAL]
    with pytest.raises(ValueError, match="Reinforce recalls nothing"):
        strategy.recall({})
