"""The state of a run: the same whether its events happened here or are replayed."""

from __future__ import annotations

import pytest

from raynas.cells.genotype import Genotype
from raynas.nn import Complexity
from raynas.run.run import Run
from raynas.run.state import RunState
from raynas.strategies.rewards.reward import make_reward
from raynas.strategies.strategy import Proposal, Strategy, make_strategy
from tests.run.builders import TINY, completed, failed, infeasible

PARETO = {"worst_cost": 300}


def new_strategy(name: str) -> Strategy:
    options = {"batch_size": 2, "hidden_units": 4} if name == "ppo" else {}
    return make_strategy(name, TINY, seed=3, **options)


def size_of(genotype: Genotype) -> Complexity:
    return Complexity(int(genotype.arch_id[:2], 16))


def lived(name: str) -> Run:
    """Six children, two at a time, one of them failed and one refused."""
    reward = make_reward("pareto", **PARETO)
    run = Run(TINY, new_strategy(name), num_children=6, reward=reward, measure=size_of, reuses=True)
    while children := [child for child in (run.next_child(), run.next_child()) if child]:
        for child in reversed(children):
            ends = {1: failed(), 2: infeasible()}
            run.finish(child.id, ends.get(child.id, completed(child.id / 10)))
    return run


@pytest.mark.parametrize("name", ["random", "ppo", "local_search"])
def test_a_replayed_state_is_the_one_that_was_lived(name):
    live = lived(name).state
    again = RunState(TINY, new_strategy(name), make_reward("pareto", **PARETO))
    for event in live.events:
        again.replay(event)
    assert (again.events, again.records, again.scored) == (live.events, live.records, live.scored)
    assert (again.num_finished, again.num_infeasible) == (live.num_finished, live.num_infeasible) == (6, 1)
    assert again.reward.front.points == live.reward.front.points != []
    assert again.strategy.propose() == live.strategy.propose()


@pytest.mark.parametrize("name", ["random", "local_search"])
def test_a_strategy_adopts_each_proposal_once_whether_it_is_new_or_replayed(name, monkeypatch):
    adopted: list[int] = []
    adopt = Strategy.adopt

    def counted(self: Strategy, proposal: Proposal) -> None:
        adopted.append(proposal.id)
        adopt(self, proposal)

    monkeypatch.setattr(Strategy, "adopt", counted)
    events = lived(name).events
    assert sorted(adopted) == list(range(7))
    adopted.clear()
    Run(TINY, new_strategy(name)).replay(events)
    assert sorted(adopted) == list(range(7))


def test_statistics_come_with_the_event_that_completes_an_update():
    state = lived("ppo").state
    again = RunState(TINY, new_strategy("ppo"), make_reward("accuracy"))
    found = [again.replay(event) for event in state.events]
    versions = [statistics["policy_version"] for statistics in found if statistics is not None]
    assert versions == [1.0, 2.0]
