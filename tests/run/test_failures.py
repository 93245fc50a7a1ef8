"""A search in which hardly anything gets a score ends with a diagnosis, and no other search does."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from raynas.child import ChildResult
from raynas.errors import InvalidConfig, SearchFailed
from raynas.programs.search.config import SearchConfig
from raynas.run.events import Finished, Started
from raynas.run.failures import FailuresConfig, diagnosis
from raynas.run.journal import Journal, read_events
from raynas.run.run import Run

from .builders import Formula, completed, failed, make_run

WATCHED = FailuresConfig(last=20, share=0.95)


def trained(results: list[ChildResult], **overrides: object) -> Run:
    """A run of these results; stops where it fails."""
    run = make_run(**{"num_children": 1000, "failures": WATCHED} | overrides)
    for result in results:
        run.finish(run.next_child().id, result)
    return run


def test_when_all_of_so_many_fail_the_search_ends_and_says_why_and_what_to_do():
    with pytest.raises(SearchFailed) as caught:
        trained([failed("out of GPU memory: x")] * 3 + [failed(f"OSError: {n}") for n in range(17)])
    lines = str(caught.value).splitlines()
    assert lines[0] == "20 of the last 20 children got no score. Why, and what helps:"
    assert lines[1] == "  17 x OSError: N"
    assert lines[3].startswith("  3 x out of GPU memory")
    assert "child.batch_size" in lines[4]
    assert "failures.last=null" in lines[-1]


def test_before_there_are_so_many_it_goes_on():
    assert trained([failed()] * 19).num_finished == 19


def test_one_score_in_twenty_is_as_bad_and_two_are_not():
    with pytest.raises(SearchFailed, match="19 of the last 20"):
        trained([completed(), *[failed()] * 19])
    assert trained([completed(), completed(), *[failed()] * 18]).num_finished == 20


def test_a_bad_beginning_is_forgotten():
    run = trained([*[failed()] * 17, *[completed(), failed()] * 100])
    assert run.num_finished == 217


def test_a_search_that_went_well_ends_too_once_everything_fails():
    with pytest.raises(SearchFailed, match="19 of the last 20"):
        trained([completed()] * 100 + [failed()] * 20)


def test_a_child_without_a_finite_reward_counts_as_one_without_a_score():
    with pytest.raises(SearchFailed, match="20 x its reward was no finite number"):
        trained([completed()] * 20, reward=Formula(lambda accuracy: math.nan))


def test_the_child_that_ends_it_is_in_the_journal_and_what_runs_is_interrupted(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    with Journal.create(path, Started(run_id="r", raynas="0", time=1.0, config={})) as journal:
        run = make_run(num_children=50, failures=WATCHED, journal=journal)
        children = [run.next_child() for _ in range(22)]
        for child in children[:19]:
            run.finish(child.id, failed())
        with pytest.raises(SearchFailed):
            run.finish(19, failed())
        run.interrupt("nearly all failed")
    events = read_events(path)
    assert sum(isinstance(event, Finished) for event in events) == 20
    assert (events[-1].kind, events[-1].reason, events[-1].children) == (
        "interrupted",
        "nearly all failed",
        (20, 21),
    )


def test_a_resumed_search_gets_as_many_chances_again():
    run = trained([failed()] * 19)
    run.next_child()
    with pytest.raises(SearchFailed):
        run.finish(19, failed())
    again = make_run(num_children=1000, failures=WATCHED)
    again.replay(run.events)
    for _ in range(19):
        again.finish(again.next_child().id, failed())
    with pytest.raises(SearchFailed):
        again.finish(again.next_child().id, failed())


def test_it_can_be_switched_off():
    assert trained([failed()] * 100, failures=FailuresConfig(last=None)).num_finished == 100


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("its worker died 3 times", "fewer workers"),
        ("the loss became nan in epoch 3", "child.learning_rate"),
        ("FileNotFoundError: x (in load, data.py, line 3)", "raynas doctor"),
        ("", "child.learning_rate"),
    ],
)
def test_every_reason_has_an_advice(reason, advice):
    assert advice in diagnosis([reason], 1).splitlines()[2]


@pytest.mark.parametrize("settings", [{"last": 0}, {"share": 0}, {"share": 1.5}, {"first": 3}])
def test_settings_out_of_bounds_are_refused(settings):
    from raynas.config import validated

    with pytest.raises(InvalidConfig, match="failures"):
        validated(SearchConfig, {"failures": settings})
