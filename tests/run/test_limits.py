"""Limits: what is refused, what a run makes of it, and the same again from the journal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from pydantic import ValidationError

import raynas.run.failures
from raynas.cells.genotype import Genotype
from raynas.child import NO_LIMITS, LimitsConfig
from raynas.errors import SearchFailed
from raynas.nn import Complexity
from raynas.run.events import Event, Finished, Proposed, Started
from raynas.run.failures import MAX_REFUSALS_IN_A_ROW
from raynas.run.journal import Journal, read_events
from raynas.run.run import Run
from tests.run.builders import Diary, Formula, completed, make_run

STARTED = Started(run_id="r1", raynas="0.1.0", time=1.0, config={})
LIMITS = LimitsConfig(parameters=0x6000)


def size_of(genotype: Genotype) -> Complexity:
    """A size as good as random; about five of eight are beyond LIMITS."""
    return Complexity(parameters=int(genotype.arch_id[:4], 16), mult_adds=5, activations=6)


def limited_run(**overrides: object) -> Run:
    return make_run(**{"limits": LIMITS, "measure": size_of} | overrides)


def run_of_sizes(sizes: Iterable[int], **overrides: object) -> Run:
    """Its proposals have so many parameters, one after the other; 8 is the limit."""
    left = iter(sizes)
    limits = LimitsConfig(parameters=8)
    return make_run(limits=limits, measure=lambda genotype: Complexity(next(left), 1, 1), **overrides)


def train(run: Run) -> list[int]:
    """Finishes what the run hands out, one after the other; the numbers of these children."""
    trained = []
    while (child := run.next_child()) is not None:
        trained.append(child.id)
        run.finish(child.id, completed(child.id / 1000))
    return trained


def timeless(events: Iterable[Event]) -> list[Event]:
    return [event.model_copy(update={"time": 0.0}) for event in events]


@pytest.mark.parametrize(
    ("limits", "excess"),
    [
        ({}, ""),
        ({"parameters": 3346538, "mult_adds": 20, "activations": 30}, ""),
        ({"parameters": 1000000}, "parameters 3,346,538 > limits.parameters 1,000,000"),
        ({"mult_adds": 19}, "mult_adds 20 > limits.mult_adds 19"),
        ({"parameters": 10**9, "activations": 29}, "activations 30 > limits.activations 29"),
        (
            {"mult_adds": 1, "activations": 2},
            "mult_adds 20 > limits.mult_adds 1, activations 30 > limits.activations 2",
        ),
    ],
)
def test_what_is_beyond_a_limit_is_named_and_the_limit_itself_is_within(limits, excess):
    assert LimitsConfig(**limits).excess(Complexity(3346538, 20, 30)) == excess


@pytest.mark.parametrize("value", [0, -1, 0.5, "many"])
def test_a_limit_is_a_number_of_at_least_one(value):
    with pytest.raises(ValidationError):
        LimitsConfig(parameters=value)


def test_limits_need_to_know_how_large_a_network_is():
    make_run(limits=NO_LIMITS)
    with pytest.raises(ValueError, match="needs `measure`"):
        make_run(limits=LIMITS)


def test_what_is_refused_is_never_handed_out_and_is_no_child_of_the_run():
    run = run_of_sizes([9, 8, 10, 11, 7, 8, 9], num_children=3)
    assert train(run) == [1, 4, 5]
    assert run.is_complete
    assert (run.num_finished, run.num_unfinished, run.num_infeasible) == (3, 0, 3)
    assert [record.id for record in run.records.values() if record.is_infeasible] == [0, 2, 3]


def test_children_that_still_run_count_and_refused_ones_do_not():
    run = run_of_sizes([9, 8, 9, 8, 9, 8], num_children=2)
    assert [run.next_child().id, run.next_child().id] == [1, 3]
    assert run.next_child() is None
    assert not run.has_more
    assert (run.num_unfinished, len(run.records)) == (2, 4)


def test_a_refusal_is_in_the_journal_with_its_reason_and_without_a_score(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    with Journal.create(path, STARTED) as journal:
        train(run_of_sizes([9, 8], num_children=1, journal=journal, reward=Formula(lambda accuracy: 1.0)))
    _, proposed, refused, *others = read_events(path)
    assert isinstance(proposed, Proposed) and isinstance(refused, Finished)
    assert (proposed.child, proposed.parameters, proposed.activations) == (0, 9, 1)
    assert (refused.child, refused.reward, refused.result.accuracy) == (0, None, None)
    assert refused.result.status == "infeasible"
    assert refused.result.reason == "parameters 9 > limits.parameters 8"
    assert [event.child for event in others] == [1, 1]


def test_listeners_hear_of_a_refusal_and_of_nothing_else_of_that_proposal():
    diary = Diary()
    train(run_of_sizes([9, 8], num_children=1, listeners=[diary]))
    assert diary.lines == ["refused 0", "proposed 1", "finished 1 completed"]


def test_ppo_learns_from_the_trained_children_alone():
    run = limited_run(strategy="ppo", num_children=6)
    train(run)
    assert run.num_infeasible > 0
    assert run.strategy.policy_version == 3
    rewards = [record.reward for record in run.records.values() if not record.is_infeasible]
    assert None not in rewards


@pytest.mark.parametrize("strategy", ["random", "ppo"])
def test_replay_restores_what_was_refused(strategy):
    run = limited_run(strategy=strategy, num_children=7)
    train(run)
    diary = Diary()
    again = limited_run(strategy=strategy, num_children=7, listeners=[diary])
    again.replay(run.events)
    assert again.records == run.records
    assert again.is_complete
    assert again.num_infeasible == run.num_infeasible
    assert sum(line.startswith("refused") for line in diary.lines) == run.num_infeasible
    assert again.strategy.propose() == run.strategy.propose()


@pytest.mark.parametrize("strategy", ["random", "ppo"])
def test_a_run_that_was_killed_anywhere_goes_on_as_if_it_had_not_been(strategy):
    """The cuts include the one between a proposal that is beyond the limits and its refusal."""
    whole = limited_run(strategy=strategy, num_children=5)
    train(whole)
    kinds = [event.result.status for event in whole.events if isinstance(event, Finished)]
    assert "infeasible" in kinds
    for num_events in range(len(whole.events)):
        run = limited_run(strategy=strategy, num_children=5)
        run.replay(whole.events[:num_events])
        train(run)
        assert timeless(run.events) == timeless(whole.events)


def test_a_proposal_that_a_killed_driver_left_unrefused_is_refused_before_anything_is_handed_out():
    first = run_of_sizes([8, 9, 8], num_children=2)
    train(first)
    torn = [event for event in first.events if isinstance(event, Proposed)][:2]
    run = run_of_sizes([8], num_children=2)
    run.replay(torn)
    assert train(run) == [0, 2]
    assert run.records[1].is_infeasible


def test_a_search_in_which_everything_is_refused_fails_and_says_why():
    sizes = iter(range(5000, 3000, -1))
    limits = LimitsConfig(parameters=2000, mult_adds=1000)
    run = make_run(limits=limits, measure=lambda genotype: Complexity(next(sizes), 1234567, 1))
    with pytest.raises(SearchFailed) as caught:
        run.next_child()
    assert str(caught.value).startswith(
        "1,000 proposals in a row are beyond the limits: limits.parameters = 2,000 (smallest: 4,001), "
        "limits.mult_adds = 1,000 (smallest: 1,234,567). Start a new search with higher limits"
    )
    assert run.num_infeasible == MAX_REFUSALS_IN_A_ROW
    assert not run.is_complete


def test_refusals_are_in_a_row_until_a_child_is_handed_out(monkeypatch):
    monkeypatch.setattr(raynas.run.failures, "MAX_REFUSALS_IN_A_ROW", 3)
    run = run_of_sizes([9, 9, 8, 9, 9, 8, 9, 9, 9], num_children=9)
    assert [run.next_child().id, run.next_child().id] == [2, 5]
    with pytest.raises(SearchFailed, match="3 proposals in a row"):
        run.next_child()


def test_a_caller_that_cant_wait_comes_back_while_there_is_more(monkeypatch):
    monkeypatch.setattr(raynas.run.failures, "MAX_REFUSALS_IN_A_ROW", 6)
    run = run_of_sizes([9] * 5 + [8] + [9] * 6, num_children=2)
    assert [run.next_child(max_refusals=2) for _ in range(2)] == [None, None]
    assert run.has_more
    assert run.next_child(max_refusals=2).id == 5
    assert [run.next_child(max_refusals=5), run.num_infeasible] == [None, 10]
    with pytest.raises(SearchFailed, match="6 proposals in a row"):
        run.next_child(max_refusals=5)


def test_a_closed_run_has_nothing_more():
    run = run_of_sizes([8], num_children=2)
    run.close()
    assert not run.has_more
    assert run.next_child(max_refusals=1) is None
