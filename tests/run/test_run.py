"""A run's life without Ray: children out, results in, and the same again from the journal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest

from raynas.child import ChildResult
from raynas.errors import RunFolderError
from raynas.nn import Complexity
from raynas.run.events import Finished, Proposed, Started
from raynas.run.journal import Journal, read_events
from raynas.run.leaderboard import leaderboard
from raynas.run.records import records_of
from raynas.run.run import Run
from tests.run.builders import TINY, Diary, Formula, completed, failed, make_run, report

STARTED = Started(run_id="r1", raynas="0.1.0", time=1.0, config={})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.create(path, STARTED) as journal:
        yield journal


def replayed(path: Path, **overrides: object) -> Run:
    run = make_run(**overrides)
    run.replay(read_events(path))
    return run


def next_id(run: Run) -> int | None:
    child = run.next_child()
    return None if child is None else child.id


def test_a_run_hands_out_its_children_once_and_is_complete_when_all_have_finished():
    run = make_run(num_children=3)
    ids = [next_id(run) for _ in range(5)]
    assert ids == [0, 1, 2, None, None]
    for left, child_id in ((2, 2), (1, 0), (0, 1)):
        assert not run.is_complete
        run.finish(child_id, completed())
        assert run.num_unfinished == left
    assert run.is_complete


def test_a_run_without_an_end_is_never_complete():
    run = make_run(num_children=None)
    for expected in range(10):
        assert next_id(run) == expected
        run.finish(expected, completed())
    assert not run.is_complete


def test_a_child_is_what_its_record_says(journal):
    run = make_run(journal=journal, measure=lambda genotype: Complexity(11, 22, 33))
    child = run.next_child()
    proposed = run.records[0].proposed
    assert child == run.child(0)
    assert child.genotype == TINY.decode(proposed.actions)
    assert child.arch_id == proposed.arch_id == child.genotype.arch_id
    assert (proposed.parameters, proposed.mult_adds, proposed.activations) == (11, 22, 33)


def test_children_have_their_own_seeds_that_depend_on_the_runs_seed_alone():
    def seeds(seed: int) -> list[int]:
        run = make_run(seed=seed)
        return [run.next_child().seed for _ in range(4)]

    assert seeds(3) == seeds(3)
    assert len({*seeds(3), *seeds(4)}) == 8
    assert all(0 <= seed < 2**31 for seed in seeds(3))


def test_an_event_is_in_the_journal_before_anybody_hears_of_it(path, journal):
    class Reader(Diary):
        def child_proposed(self, record, child):
            assert read_events(path)[-1] == record.proposed

        def child_finished(self, record, child):
            assert read_events(path)[-1] == record.finished

    run = make_run(journal=journal, listeners=[Reader()])
    run.finish(run.next_child().id, completed())
    assert [event.kind for event in read_events(path)] == ["started", "proposed", "finished"]


def test_listeners_are_told_in_order():
    diary = Diary()
    run = make_run(strategy="ppo", listeners=[diary], num_children=2)
    run.next_child(), run.next_child()
    run.report(1, report(1))
    run.report(1, report(2))
    run.finish(1, completed())
    run.report(0, report(1))
    run.finish(0, completed(0.25))
    assert diary.lines == [
        "proposed 0",
        "proposed 1",
        "epoch 1 of 1",
        "epoch 2 of 1",
        "finished 1 completed",
        "epoch 1 of 0",
        "finished 0 completed",
        "updated to 1",
    ]


def test_an_epoch_is_reported_once_and_only_while_the_child_runs():
    diary = Diary()
    run = make_run(listeners=[diary])
    run.report(0, report(1))
    run.next_child()
    for epoch in (1, 1, 3, 2, 3):
        run.report(0, report(epoch))
    run.finish(0, completed())
    run.report(0, report(4))
    assert [line for line in diary.lines if line.startswith("epoch")] == ["epoch 1 of 0", "epoch 3 of 0"]


def test_a_second_end_of_a_child_changes_nothing(path, journal):
    run = make_run(journal=journal)
    run.next_child()
    run.finish(0, completed(0.5))
    before = path.read_bytes()
    run.finish(0, completed(0.9))
    run.finish(0, failed())
    assert (run.records[0].reward, run.num_finished) == (0.5, 1)
    assert path.read_bytes() == before


def test_after_close_nothing_is_handed_out_or_taken_back(path, journal):
    run = make_run(journal=journal)
    run.next_child()
    before = path.read_bytes()
    run.close()
    run.finish(0, completed())
    run.finish_as_reported(0, "stopped")
    assert run.next_child() is None
    assert run.records[0].result is None
    assert path.read_bytes() == before
    assert next_id(replayed(path)) == 0


def test_an_interrupted_run_says_which_children_it_left_and_a_resume_trains_them_again(path, journal):
    run = make_run(journal=journal)
    children = [run.next_child() for _ in range(3)]
    run.finish(1, completed())
    run.interrupt("SIGTERM")
    run.finish(0, completed())
    last = read_events(path)[-1]
    assert (last.kind, last.reason, last.children) == ("interrupted", "SIGTERM", (0, 2))
    assert [record.is_interrupted for record in records_of(read_events(path)).values()] == [True, False, True]
    again = replayed(path)
    assert [again.next_child() for _ in range(3)] == [children[0], children[2], again.child(3)]


@pytest.mark.parametrize("status", ["completed", "stopped"])
def test_a_child_that_ended_as_reported_has_the_score_of_its_last_report(status):
    run = make_run()
    run.next_child()
    run.report(0, report(1, 0.25))
    run.report(0, report(2, 0.75))
    run.finish_as_reported(0, status)
    curve = (report(1, 0.25), report(2, 0.75))
    assert run.records[0].result == ChildResult(status=status, accuracy=0.75, curve=curve, seconds=2.0)
    assert run.records[0].reward == 0.75


def test_a_child_that_ended_without_a_report_has_failed():
    run = make_run()
    run.next_child()
    run.finish_as_reported(0, "completed")
    assert run.records[0].result == ChildResult(status="failed", reason="it ended without a report")


def test_a_failed_child_has_no_reward_whatever_its_accuracy():
    run = make_run()
    run.next_child(), run.next_child()
    run.finish(0, failed())
    run.finish(1, ChildResult(status="failed", accuracy=0.9, reason="boom"))
    assert [record.reward for record in run.records.values()] == [None, None]
    assert run.num_finished == 2


def test_the_reward_is_what_the_given_function_makes_of_a_result():
    run = make_run(reward=Formula(lambda accuracy: 1.0 - accuracy))
    run.next_child()
    run.finish(0, completed(0.25))
    assert run.records[0].reward == 0.75


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_finite_number_is_none_now_and_after_a_replay(path, journal, reward):
    run = make_run(strategy="ppo", journal=journal, reward=Formula(lambda accuracy: reward))
    for _ in range(2):
        run.finish(run.next_child().id, completed())
    again = replayed(path, strategy="ppo")
    assert [record.reward for record in run.records.values()] == [None, None]
    assert again.records == run.records
    assert again.strategy.policy_version == run.strategy.policy_version == 0
    assert [entry.reward for entry in leaderboard(run.records.values())] == [None, None]


def test_replay_restores_records_and_strategy(path, journal):
    run = make_run(strategy="ppo", journal=journal, num_children=9)
    for _ in range(6):
        run.next_child()
    for child_id in (4, 0, 3, 1):
        run.finish(child_id, failed() if child_id == 3 else completed(child_id / 10))
    again = replayed(path, strategy="ppo", num_children=9)
    assert again.records == run.records
    assert again.events == run.events
    assert (again.num_finished, again.num_unfinished) == (4, 5)
    assert again.strategy.policy_version == run.strategy.policy_version == 1
    assert again.strategy.propose() == run.strategy.propose()


def test_what_a_killed_driver_left_unfinished_is_handed_out_first_and_once(path, journal):
    run = make_run(journal=journal, num_children=6)
    children = [run.next_child() for _ in range(4)]
    run.finish(1, completed())
    again = replayed(path, num_children=6)
    handed_out = [again.next_child() for _ in range(6)]
    assert handed_out[:3] == [children[0], children[2], children[3]]
    assert [child.id for child in handed_out[3:5]] == [4, 5]
    assert handed_out[5] is None


def test_what_somebody_trains_already_is_not_handed_out_but_taken_back(path, journal):
    run = make_run(journal=journal, num_children=3)
    for _ in range(3):
        run.next_child()
    again = make_run(num_children=3)
    again.replay(read_events(path), running=[1])
    assert [next_id(again) for _ in range(3)] == [0, 2, None]
    again.report(1, report(1, 0.5))
    again.finish_as_reported(1, "stopped")
    assert again.records[1].reward == 0.5


def test_a_run_can_be_killed_and_resumed_again_and_again(path):
    whole = make_run(strategy="ppo", num_children=8)
    for _ in range(8):
        child = whole.next_child()
        whole.finish(child.id, completed(child.id / 10))
    Journal.create(path, STARTED).close()
    for _ in range(8):
        journal, events = Journal.reopen(path)
        with journal:
            run = make_run(strategy="ppo", num_children=8, journal=journal)
            run.replay(events)
            child = run.next_child()
            run.finish(child.id, completed(child.id / 10))
    proposals = [run.records[id].proposed.model_copy(update={"time": 0.0}) for id in range(8)]
    expected = [whole.records[id].proposed.model_copy(update={"time": 0.0}) for id in range(8)]
    assert proposals == expected
    assert run.is_complete


def test_replay_of_a_new_journal_is_a_new_run(path, journal):
    assert next_id(replayed(path)) == 0


def test_listeners_hear_of_replayed_ends(path, journal):
    run = make_run(journal=journal)
    run.next_child(), run.next_child()
    run.finish(0, completed())
    diary = Diary()
    again = replayed(path, listeners=[diary])
    next_id(again)
    assert diary.lines == ["finished 0 completed", "proposed 1"]


ZEROS = (0,) * len(TINY.decisions)
PROPOSED = Proposed(child=0, time=1.0, actions=ZEROS, arch_id=TINY.decode(ZEROS).arch_id)
FINISHED = Finished(child=0, time=2.0, reward=0.5, result=completed())


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([FINISHED], "finishes child 0 twice or before it is proposed"),
        ([PROPOSED, FINISHED, FINISHED], "finishes child 0 twice"),
        ([PROPOSED, PROPOSED], "child 0 is there twice"),
        ([PROPOSED.model_copy(update={"arch_id": "0" * 12})], "don't describe its arch_id 000000000000"),
        ([PROPOSED.model_copy(update={"actions": ZEROS[1:]})], "child 0 is not from this space: 7 actions"),
        (
            [PROPOSED.model_copy(update={"actions": (9,) * len(ZEROS)})],
            "child 0 is not from this space: .*action 9",
        ),
        ([PROPOSED.model_copy(update={"actions": ()})], "child 0 is not from this space"),
    ],
)
def test_a_journal_that_contradicts_itself_or_the_space_is_refused(events, message):
    with pytest.raises(RunFolderError, match=message):
        make_run().replay([STARTED, *events])


@pytest.mark.parametrize("log_probs", [[10**400] * 8, ["a"] * 8, [[0.0]], [], {}, None])
def test_a_proposal_that_can_not_be_learned_from_is_refused(log_probs):
    events = []
    for child in range(2):
        actions = (child, *ZEROS[1:])
        arch_id, info = TINY.decode(actions).arch_id, {"log_probs": log_probs}
        events += [
            PROPOSED.model_copy(
                update={"child": child, "actions": actions, "arch_id": arch_id, "info": info}
            ),
            FINISHED.model_copy(update={"child": child}),
        ]
    with pytest.raises(RunFolderError, match=r"child 1 can't be learned from: .* changed by hand"):
        make_run(strategy="ppo").replay([STARTED, *events])


def test_a_pickled_run_leaves_journal_and_listeners_behind(path, journal):
    run = make_run(strategy="ppo", journal=journal, listeners=[Diary()])
    run.next_child(), run.next_child()
    before = path.read_bytes()
    copy = cloudpickle.loads(cloudpickle.dumps(run))
    assert (copy.journal, copy.listeners, copy.records) == (None, [], run.records)
    copy.finish(0, completed())
    copy.finish(1, completed())
    assert copy.strategy.policy_version == 1
    assert path.read_bytes() == before
    assert (run.num_finished, run.journal) == (0, journal)


def test_records_of_reads_a_journal_without_its_space(path, journal):
    run = make_run(journal=journal)
    run.next_child(), run.next_child()
    run.finish(1, completed())
    assert records_of(read_events(path)) == run.records
    assert records_of([STARTED, FINISHED]) == {}
