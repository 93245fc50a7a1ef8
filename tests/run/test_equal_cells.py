"""A cell that was trained is not trained again: not when it comes again, nor while it is being trained."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from raynas.errors import RunFolderError
from raynas.run.events import Finished
from raynas.run.leaderboard import by_architecture, leaderboard
from raynas.run.run import Run
from raynas.strategies.listed import Listed, ListedConfig

from .builders import TINY, Diary, completed, failed


def actions(count: int) -> list[tuple[int, ...]]:
    """Actions of `count` different cells."""
    choices = [range(len(decision.choices)) for decision in TINY.decisions]
    by_arch: dict[str, tuple[int, ...]] = {}
    for candidate in itertools.product(*choices):
        by_arch.setdefault(TINY.decode(candidate).arch_id, candidate)
        if len(by_arch) == count:
            break
    return list(by_arch.values())


def run_of(architectures: Sequence[tuple[int, ...]], num_children: int, **overrides) -> Run:
    strategy = Listed(TINY, seed=0, config=ListedConfig(architectures=tuple(architectures)))
    return Run(TINY, strategy, **{"num_children": num_children, "reuses": True} | overrides)


def test_a_cell_that_comes_again_gets_its_score_at_once():
    diary = Diary()
    run = run_of(actions(2), 4, listeners=[diary])
    for accuracy in (0.7, 0.4):
        run.finish(run.next_child().id, completed(accuracy))
    assert run.next_child() is None
    assert run.is_complete
    assert not run.has_more
    assert [(r.finished.reused_from, r.reward) for r in run.records.values()] == [
        (None, 0.7),
        (None, 0.4),
        (0, 0.7),
        (1, 0.4),
    ]
    assert run.records[2].result == completed(0.7).model_copy(update={"seconds": 0.0})
    assert diary.lines[-2:] == ["finished 2 completed", "finished 3 completed"]


def test_another_writing_of_it_is_the_same_cell():
    by_arch: dict[str, list[tuple[int, ...]]] = {}
    for candidate in itertools.product(*[range(len(decision.choices)) for decision in TINY.decisions]):
        by_arch.setdefault(TINY.decode(candidate).arch_id, []).append(candidate)
    writings = next(found for found in by_arch.values() if len(found) > 1)
    run = run_of(writings[:2], 2)
    run.finish(run.next_child().id, completed())
    assert run.next_child() is None
    assert run.records[1].finished.reused_from == 0


def test_a_cell_that_is_being_trained_is_waited_for():
    run = run_of(actions(1), 3)
    first = run.next_child()
    assert run.next_child() is None
    assert run.has_more
    run.finish(first.id, completed(0.6))
    assert [record.reward for record in run.records.values()] == [0.6, 0.6, 0.6]
    assert run.is_complete


@pytest.mark.parametrize(
    "result", [failed(), completed(0.2).model_copy(update={"status": "stopped"})], ids=["failed", "stopped"]
)
def test_without_a_full_score_the_next_is_trained(result):
    run = run_of(actions(1), 3)
    first = run.next_child()
    assert run.next_child() is None
    run.finish(first.id, result)
    second = run.next_child()
    assert second.id == 1
    assert run.next_child() is None
    run.finish(second.id, completed(0.5))
    assert [record.finished.reused_from for record in run.records.values()] == [None, None, 1]


def test_a_resumed_run_goes_on_as_the_killed_one_would():
    architectures = actions(2)
    killed = run_of([architectures[0], architectures[1], architectures[0], architectures[1]], 6)
    first, second = killed.next_child(), killed.next_child()
    assert killed.next_child() is None
    killed.finish(first.id, completed(0.3))
    resumed = run_of([architectures[0], architectures[1], architectures[0], architectures[1]], 6)
    resumed.replay(killed.events)
    assert resumed.next_child().id == second.id
    assert resumed.next_child() is None
    for run in (killed, resumed):
        run.finish(second.id, completed(0.9))
        assert run.is_complete
    reused = {id: (r.finished.reused_from, r.reward) for id, r in resumed.records.items()}
    assert reused == {id: (r.finished.reused_from, r.reward) for id, r in killed.records.items()}


@pytest.mark.parametrize("source", [1, 7])
def test_a_score_of_another_cell_is_refused_when_it_is_replayed(source):
    run = run_of(actions(3), 3)
    for accuracy in (0.1, 0.2):
        run.finish(run.next_child().id, completed(accuracy))
    run.next_child()
    forged = Finished(child=2, time=1.0, reward=0.2, result=completed(0.2), reused_from=source)
    with pytest.raises(RunFolderError, match=f"score of child {source}, which is not there or has another"):
        run_of(actions(3), 3).replay([*run.events, forged])


def test_unless_asked_each_is_trained():
    run = run_of(actions(1), 3, reuses=False)
    assert [run.next_child().id for _ in range(3)] == [0, 1, 2]


def test_reused_scores_are_no_repetitions():
    run = run_of(actions(1), 3)
    run.finish(run.next_child().id, completed(0.6))
    assert run.next_child() is None
    entries = leaderboard(run.records.values())
    assert [entry.reused_from for entry in entries] == [None, 0, 0]
    assert [entry.trainings for entry in by_architecture(entries)] == [1]
