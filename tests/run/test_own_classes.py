"""A mistake in a user's own class names the class and the call, the first time and at a resume."""

from __future__ import annotations

from pathlib import Path

import pytest

from raynas.errors import UsageError
from raynas.run.events import Started
from raynas.run.journal import Journal, read_events
from raynas.run.run import Run
from raynas.strategies.random_search import RandomSearch
from raynas.strategies.rewards.accuracy import Accuracy
from raynas.strategies.strategy import StrategyConfig
from search_spaces.nasnet import NASNetSpace
from tests.run.builders import TINY, completed


class Divides(RandomSearch):
    def _learn(self, proposal, reward):
        return {"mean": reward / 0}


class DrawsTooFew(RandomSearch):
    def _draw(self, proposal_id):
        return (0,), {}


class DrawsNothing(RandomSearch):
    def _draw(self, proposal_id):
        return None


class TakesObjects(RandomSearch):
    def _draw(self, proposal_id):
        return super()._draw(proposal_id)[0], {"mine": object()}


class Looks(Accuracy):
    def _score(self, outcome, accuracy):
        return {}[accuracy]


class ScoresText(Accuracy):
    def _score(self, outcome, accuracy):
        return "good"


class Forgets(Accuracy):
    def observe(self, outcome):
        raise RuntimeError("no place")


class DecodesNothing(NASNetSpace):
    def decode(self, actions):
        return None


class Indexes(NASNetSpace):
    def decode(self, actions):
        return [][actions[0]]


SMALL = {"num_blocks": 1, "operations": ("identity", "conv_1x1"), "combiners": ("add",)}


def run_of(own: type, journal: Journal | None = None) -> Run:
    space = own(**SMALL) if issubclass(own, NASNetSpace) else TINY
    strategy = own if issubclass(own, RandomSearch) else RandomSearch
    reward = own() if issubclass(own, Accuracy) else None
    chosen = strategy(space, StrategyConfig(), seed=0)
    return Run(space, chosen, num_children=4, reward=reward, journal=journal)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (Divides, r"Divides\._learn raised ZeroDivisionError: .* \(.*test_own_classes\.py, line \d+\)"),
        (DrawsTooFew, r"DrawsTooFew\.propose raised ValueError: 1 actions for"),
        (DrawsNothing, r"DrawsNothing\.propose raised TypeError"),
        (TakesObjects, r"TakesObjects\.propose raised .*Unable to serialize"),
        (Looks, r"Looks\._score raised KeyError: 0\.5"),
        (ScoresText, r"ScoresText\.__call__ raised TypeError"),
        (Forgets, r"Forgets\.observe raised RuntimeError: no place"),
        (DecodesNothing, r"DecodesNothing\.decode raised TypeError: it must return a Genotype, not None"),
        (Indexes, r"Indexes\.decode raised IndexError"),
    ],
)
def test_s10_a_mistake_names_the_users_class_and_the_call(own, message):
    run = run_of(own)
    with pytest.raises(UsageError, match=message):
        run.finish(run.next_child().id, completed())


@pytest.mark.parametrize("own", [Divides, Forgets])
def test_s10_a_resume_names_the_class_too_and_never_the_journal(tmp_path: Path, own):
    path = tmp_path / "journal.jsonl"
    with Journal.create(path, Started(run_id="r", raynas="0", time=1.0, config={})) as journal:
        run = run_of(own, journal)
        with pytest.raises(UsageError) as first:
            run.finish(run.next_child().id, completed())
    with pytest.raises(UsageError) as again:
        run_of(own).replay(read_events(path))
    assert str(again.value) == str(first.value)
    assert "by hand" not in str(again.value)
    # Once the class is right, the same journal goes on.
    right = run_of(RandomSearch)
    right.replay(read_events(path))
    assert right.num_finished == 1
