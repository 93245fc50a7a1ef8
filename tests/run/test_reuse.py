"""Scores of other runs: reused where the fidelity is the same, and refused with a reason where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raynas.child import ChildResult
from raynas.errors import InvalidConfig, RunFolderError, UsageError
from raynas.programs.search.config import SearchConfig
from raynas.run.events import Started
from raynas.run.journal import Journal, read_events
from raynas.run.leaderboard import by_architecture, leaderboard
from raynas.run.reuse import Memo, read_memo
from raynas.run.run import Run
from raynas.strategies.listed import Listed, ListedConfig
from tests.run.builders import TINY, Diary, completed, failed

IMAGES, OTHER = "0123456789abcdef", "fedcba9876543210"
CONFIG = {"child": {"epochs": 3}, "network": {"filters": 8}, "data": {"source": "digits"}, "seed": 0}
CELLS = [(0,) * 8, (1,) * 8, (0,) * 4 + (1,) * 4]
ARCH_IDS = [TINY.decode(cell).arch_id for cell in CELLS]


def run_of(cells: list[int], memo: Memo | None = None, **overrides: Any) -> Run:
    listed = Listed(TINY, ListedConfig(architectures=tuple(CELLS[cell] for cell in cells)), seed=0)
    return Run(
        TINY, listed, num_children=len(cells), reuses=True, memo=memo.scores if memo else None, **overrides
    )


def record(
    folder: Path,
    results: dict[int, ChildResult],
    *,
    images: str | None = IMAGES,
    config: dict[str, Any] | None = None,
    time: float = 1.0,
    memo: Memo | None = None,
) -> Path:
    """The folder of a run in which these cells were trained with these results."""
    started = Started(run_id=folder.name, raynas="0", time=time, config=config or CONFIG, images=images)
    with Journal.create(folder / "journal.jsonl", started) as journal:
        run = run_of(list(results), memo, journal=journal)
        while (child := run.next_child()) is not None:
            run.finish(child.id, results[ARCH_IDS.index(child.arch_id)])
    return folder


def read(place: Path, **overrides: Any) -> Memo:
    return read_memo(place, **{"images": IMAGES, "config": CONFIG, "own": place / "own"} | overrides)


def test_the_cells_of_the_space_differ():
    assert len(set(ARCH_IDS)) == 3


def test_a_cell_of_another_run_is_not_trained_again_and_its_score_names_run_and_child(tmp_path):
    memo = read(record(tmp_path / "one", {0: completed(0.25), 1: completed(0.75)}))
    diary = Diary()
    run = run_of([2, 1, 1], memo, listeners=[diary])
    child = run.next_child()
    assert (child.id, run.next_child()) == (0, None)
    run.finish(0, completed(0.5))
    assert [record.reward for record in run.records.values()] == [0.5, 0.75, 0.75]
    first, second = (run.records[id].finished for id in (1, 2))
    assert (first.memo.run_id, first.memo.folder, first.memo.child) == ("one", str(tmp_path / "one"), 1)
    assert first.result == completed(0.75).model_copy(update={"seconds": 0.0})
    assert (second.memo, second.reused_from) == (None, 1)
    assert run.is_complete and not run.has_more
    assert "proposed 1" not in diary.lines and "finished 1 completed" in diary.lines


def test_the_leaderboard_says_whose_score_it_is_and_counts_no_training(tmp_path):
    memo = read(record(tmp_path / "one", {1: completed(0.75)}))
    run = run_of([1], memo)
    assert run.next_child() is None
    (entry,) = leaderboard(run.records.values())
    assert (entry.memo_run, entry.memo_child, entry.is_reused) == (str(tmp_path / "one"), 0, True)
    assert by_architecture([entry]) == []


@pytest.mark.parametrize(
    "result",
    [failed(), ChildResult(status="stopped", accuracy=0.5), ChildResult(status="infeasible")],
    ids=lambda result: result.status,
)
def test_what_was_not_trained_to_its_end_is_no_score(tmp_path, result):
    assert read(record(tmp_path / "one", {0: result, 1: completed()})).scores.keys() == {ARCH_IDS[1]}


def test_a_resume_needs_no_other_run(tmp_path):
    memo = read(record(tmp_path / "one", {1: completed(0.75)}))
    folder = record(tmp_path / "two", {1: completed(0.1), 2: completed(0.2)}, memo=memo)
    again = run_of([1, 2])
    again.replay(read_events(folder / "journal.jsonl"))
    assert [record.reward for record in again.records.values()] == [0.75, 0.2]
    assert again.is_complete


def test_a_score_that_was_handed_on_names_the_run_where_it_was_trained(tmp_path):
    first = record(tmp_path / "first", {1: completed(0.75)})
    second = record(tmp_path / "second", {1: completed(0.1)}, memo=read(first))
    origin = read(second).scores[ARCH_IDS[1]].origin
    assert (origin.run_id, origin.child) == ("first", 0)


def test_of_a_store_the_oldest_score_of_each_cell_counts(tmp_path):
    record(tmp_path / "b", {0: completed(0.1), 1: completed(0.2)}, time=2.0)
    record(tmp_path / "a", {1: completed(0.3), 2: completed(0.4)}, time=3.0)
    record(tmp_path / "own", {2: completed(0.9)}, time=1.0)
    memo = read(tmp_path)
    assert [memo.scores[arch_id].result.accuracy for arch_id in ARCH_IDS] == [0.1, 0.2, 0.4]
    assert memo.notes == [f"memo: 3 scores of 2 runs in {tmp_path} are there to be reused"]


def test_in_a_store_what_does_not_fit_is_left_out_with_a_reason(tmp_path):
    record(tmp_path / "fits", {0: completed()})
    record(tmp_path / "longer", {1: completed()}, config=CONFIG | {"child": {"epochs": 9}})
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "journal.jsonl").write_text("garbled\n")
    memo = read(tmp_path)
    assert memo.scores.keys() == {ARCH_IDS[0]}
    assert len(memo.notes) == 3
    assert f"{tmp_path / 'longer'} is left out: child.epochs is 9 there and 3 here" in memo.notes[1]
    assert "torn is left out" in memo.notes[2] and "line 1" in memo.notes[2]


def test_an_empty_store_is_one_that_may_fill(tmp_path):
    assert read(tmp_path).scores == {}


@pytest.mark.parametrize(
    ("images", "config", "message"),
    [
        (OTHER, CONFIG | {"seed": 4}, "seed is 4 there and 0 here"),
        (
            IMAGES,
            CONFIG | {"network": {"filters": 8, "stem": "x"}},
            "network.stem is 'x' there and None here",
        ),
        (OTHER, CONFIG, "its images are others"),
        (None, CONFIG, "does not say on which images"),
    ],
)
def test_one_run_of_another_fidelity_is_refused_and_the_reason_named(tmp_path, images, config, message):
    folder = record(tmp_path / "one", {0: completed()}, images=images, config=config)
    with pytest.raises(RunFolderError) as caught:
        read(folder)
    assert message in str(caught.value) and str(folder) in str(caught.value)


def test_where_images_are_from_does_not_matter_if_they_are_the_same(tmp_path):
    config = CONFIG | {"data": {"source": "elsewhere"}, "seed": 4}
    assert len(read(record(tmp_path / "one", {0: completed()}, config=config)).scores) == 1


def test_where_there_is_no_folder_there_is_no_memo(tmp_path):
    with pytest.raises(UsageError, match="is no folder"):
        read(tmp_path / "nowhere")


def test_reusing_and_training_again_at_once_is_a_contradiction():
    from raynas.config import validated

    with pytest.raises(InvalidConfig, match="memo = 'runs': its scores are to be reused"):
        validated(SearchConfig, {"memo": "runs", "equal_cells": "retrain"})
