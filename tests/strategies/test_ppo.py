"""The paper's controller and its update, against the paper, against hand-made numbers, and on a toy."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raynas.programs.search.recipes import search_config
from raynas.strategies.controller import INIT_RANGE, Controller
from raynas.strategies.ppo import PPO, clipped_policy_loss, kl_estimate, ranks
from raynas.strategies.ppo_config import PAPER, PPOConfig
from raynas.strategies.strategy import Strategy, make_strategy
from search_spaces.nasnet import NASNetSpace

# Shapes: B architectures, T decisions.
TOY = NASNetSpace(num_blocks=1)


def num_choices(space: NASNetSpace) -> list[int]:
    return [len(decision.choices) for decision in space.decisions]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small products are slower on two busy cores than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def controller() -> Controller:
    """Of the paper's space, as it is before any update."""
    return Controller(num_choices(NASNetSpace()), generator=torch.Generator().manual_seed(3))


def make_ppo(space: NASNetSpace = TOY, *, seed: int = 0, **options: float) -> PPO:
    strategy = make_strategy("ppo", space, seed=seed, **options)
    assert isinstance(strategy, PPO)
    return strategy


def test_the_recipe_of_the_paper_has_its_numbers():
    config = PPOConfig.model_validate(search_config("nasnet_paper").strategy.options)
    assert config == PAPER
    assert config.learning_rate == 0.00035
    assert config.entropy_weight == 0.00001
    assert config.baseline_weight == 0.95
    assert config.batch_size == 20
    assert config.hidden_units == 100
    assert config.clip == 0.2
    assert (config.advantages, config.redraws) == ("baseline", 0)


def test_the_controller_of_the_paper_is_one_layer_of_a_hundred_units(controller):
    assert (controller.lstm.num_layers, controller.lstm.hidden_size) == (1, 100)
    assert make_ppo(**PAPER.model_dump()).controller.lstm.hidden_size == 100


def test_ranks_are_those_among_the_last_rewards_and_ties_count_half():
    spread = math.sqrt(12.0)
    assert ranks([3.0], [1.0, 2.0, 3.0, 4.0]) == pytest.approx([spread * (2.5 / 4 - 0.5)])
    assert ranks([7.0, 7.0], [7.0, 7.0]) == [0.0, 0.0]
    assert sum(ranks([1.0, 5.0, 2.0], [1.0, 5.0, 2.0])) == pytest.approx(0.0)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_ranks_do_not_depend_on_the_scale_of_rewards(rewards):
    assert ranks([math.exp(reward) for reward in rewards], [math.exp(reward) for reward in rewards]) == ranks(
        rewards, rewards
    ) or len(set(map(math.exp, rewards))) < len(set(rewards))


def test_what_was_proposed_is_drawn_again_as_seldom_as_can_be():
    space = NASNetSpace(num_blocks=1, operations=("identity",), combiners=("add",))
    assert space.size == 16
    for redraws, num_distinct in ((1000, 16), (0, 10)):
        strategy = make_ppo(space, redraws=redraws, batch_size=100)
        drawn = {strategy.propose().actions for _ in range(16)}
        assert len(drawn) == num_distinct


def test_every_weight_starts_within_a_tenth_and_fills_that_range(controller):
    assert INIT_RANGE == 0.1
    for name, parameter in controller.named_parameters():
        assert parameter.abs().max() <= 0.1, name
        assert parameter.abs().max() > 0.09, name
        assert abs(parameter.mean()) < 0.02, name


def test_the_first_policy_is_nearly_uniform(controller):
    actions_BT = torch.zeros(1, 50, dtype=torch.long)
    _, entropy_BT = controller.log_probs(actions_BT)
    largest_T = torch.tensor(num_choices(NASNetSpace())).log()
    assert (entropy_BT[0] <= largest_T + 1e-5).all()
    assert (entropy_BT[0] >= largest_T - 0.05).all()


@torch.no_grad()
def test_the_probabilities_of_all_choices_add_up_to_one(controller):
    for index, width in enumerate(num_choices(NASNetSpace())):
        actions_BT = torch.zeros(width, 50, dtype=torch.long)
        actions_BT[:, index] = torch.arange(width)
        log_probs_BT, _ = controller.log_probs(actions_BT)
        assert log_probs_BT[:, index].exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_a_decision_depends_on_those_before_it_alone(controller):
    zeros_BT = torch.zeros(1, 50, dtype=torch.long)
    other_BT = zeros_BT.clone()
    other_BT[0, 20] = 1
    difference_T = (controller.log_probs(other_BT)[0] - controller.log_probs(zeros_BT)[0])[0].abs()
    assert (difference_T[:20] == 0).all()
    assert (difference_T[21:26] > 0).all()


@pytest.mark.parametrize("is_trained", [False, True])
def test_the_sampler_and_the_network_agree_on_log_probabilities(is_trained):
    strategy = make_ppo(NASNetSpace(), batch_size=5, learning_rate=0.02)
    for index in range(50 if is_trained else 0):
        strategy.observe(strategy.propose(), index % 2)
    proposals = [strategy.propose() for _ in range(20)]
    log_probs_BT, _ = strategy.controller.log_probs(
        torch.tensor([proposal.actions for proposal in proposals])
    )
    recorded_BT = torch.tensor([proposal.info["log_probs"] for proposal in proposals])
    assert strategy.policy_version == (10 if is_trained else 0)
    torch.testing.assert_close(log_probs_BT, recorded_BT, atol=1e-5, rtol=0)


def test_the_sampler_draws_as_often_as_the_probabilities_say():
    controller = Controller([3, 2], hidden_units=4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        controller.head_bias_TK[0] = torch.tensor([2.0, 0.0, 1.0])
    sampler, rng = controller.sampler(), np.random.default_rng(0)
    samples = [sampler.draw(rng) for _ in range(4000)]
    for action in range(3):
        chosen = [sample for sample in samples if sample.actions[0] == action]
        assert len(chosen) / 4000 == pytest.approx(math.exp(chosen[0].log_probs[0]), abs=0.03)


def test_the_sampler_is_a_copy_of_the_policy_as_it_was():
    controller = Controller([3, 2], hidden_units=4, generator=torch.Generator().manual_seed(0))
    sampler = controller.sampler()
    before = sampler.draw(np.random.default_rng(0))
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.zero_()
    assert sampler.draw(np.random.default_rng(0)) == before


def test_a_decision_with_one_choice_is_certain():
    space = NASNetSpace(num_blocks=1, operations=("identity",), combiners=("add",))
    strategy = make_ppo(space, batch_size=2)
    for _ in range(4):
        proposal = strategy.propose()
        strategy.observe(proposal, 0.5)
    certain = [index for index, width in enumerate(num_choices(space)) if width == 1]
    assert [proposal.info["log_probs"][index] for index in certain] == [0.0] * len(certain)
    assert all(parameter.isfinite().all() for parameter in strategy.controller.parameters())


@pytest.mark.parametrize("batch_size", [1, 3, 20])
def test_it_updates_after_exactly_a_mini_batch_of_rewards(batch_size):
    strategy = make_ppo(batch_size=batch_size, hidden_units=4)
    proposals = [strategy.propose() for _ in range(3 * batch_size)]
    updates = []
    for count, proposal in enumerate(reversed(proposals), start=1):
        strategy.observe(proposal, 0.5)
        updates.append(strategy.policy_version == count // batch_size)
    assert all(updates)


def test_failed_children_do_not_count_for_a_mini_batch():
    strategy = make_ppo(batch_size=2, hidden_units=4)
    for reward in (0.5, None, math.nan):
        assert strategy.observe(strategy.propose(), reward) is None
    assert strategy.observe(strategy.propose(), 0.5) is not None


def test_a_proposal_records_the_policy_that_drew_it():
    strategy = make_ppo(batch_size=2, hidden_units=4)
    versions = []
    for _ in range(5):
        proposal = strategy.propose()
        versions.append(proposal.info["policy_version"])
        assert len(proposal.info["log_probs"]) == len(proposal.actions)
        strategy.observe(proposal, 0.5)
    assert versions == [0, 0, 1, 1, 2]


def test_an_update_reports_what_it_did():
    strategy = make_ppo(batch_size=2, hidden_units=4, learning_rate=0.01)
    assert strategy.observe(strategy.propose(), 0.25) is None
    statistics = strategy.observe(strategy.propose(), 0.75)
    assert statistics is not None
    assert (statistics["policy_version"], statistics["mean_reward"]) == (1.0, 0.5)
    assert statistics["kl"] > 0
    assert 0 < statistics["entropy"] <= sum(map(math.log, num_choices(TOY)))
    assert all(math.isfinite(value) for value in statistics.values())


def test_the_baseline_is_the_moving_average_of_rewards():
    """It starts at the mean of the first mini-batch: 0.5, then 0.95 of itself and 0.05 of each reward."""
    strategy = make_ppo(batch_size=2, hidden_units=4)
    assert strategy.baseline is None
    expected = 0.5
    for first, second in ((0.0, 1.0), (1.0, 1.0)):
        for reward in (first, second):
            strategy.observe(strategy.propose(), reward)
            expected = 0.95 * expected + 0.05 * reward
        assert strategy.baseline == pytest.approx(expected)
    assert strategy.baseline == pytest.approx(0.95**2 * (0.95 * 0.475 + 0.05) + 0.05 * (1 + 0.95))


def test_an_update_does_not_change_the_number_of_threads():
    torch.set_num_threads(2)
    strategy = make_ppo(batch_size=1, hidden_units=4)
    strategy.observe(strategy.propose(), 0.5)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def loss_of(ratio: float, advantage: float, clip: float = 0.2) -> tuple[float, float]:
    """(loss, its gradient by the log-probability) of one decision of one architecture."""
    log_probs_BT = torch.tensor([[math.log(ratio)]], requires_grad=True)
    loss = clipped_policy_loss(log_probs_BT, torch.zeros(1, 1), torch.tensor([advantage]), clip)
    loss.backward()
    assert log_probs_BT.grad is not None
    return loss.item(), log_probs_BT.grad.item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (1.0, 2.0, -2.0, -2.0),
        (1.1, 1.0, -1.1, -1.1),
        (1.5, 1.0, -1.2, 0.0),
        (0.5, 1.0, -0.5, -0.5),
        (0.5, -1.0, 0.8, 0.0),
        (1.5, -1.0, 1.5, 1.5),
        (1.5, 0.0, 0.0, 0.0),
    ],
)
def test_the_clipped_loss_of_one_decision(ratio, advantage, loss, gradient):
    """Schulman et al. 2017, figure 1: beyond the clip there is nothing more to gain, but all to lose."""
    assert loss_of(ratio, advantage) == pytest.approx((loss, gradient), abs=1e-6)


def test_the_loss_is_the_mean_over_architectures_and_decisions():
    log_probs_BT = torch.tensor([[1.0, 1.1], [1.5, 0.9]]).log()
    loss = clipped_policy_loss(log_probs_BT, torch.zeros(2, 2), torch.tensor([1.0, -2.0]), 0.2)
    assert loss.item() == pytest.approx(-(1.0 + 1.1 - 2 * 1.5 - 2 * 0.9) / 4)


@pytest.mark.parametrize("sizes", [(2, 3, 3), (3, 2, 3), (3, 3, 2), (1, 3, 3)])
def test_the_loss_refuses_batches_of_different_sizes(sizes):
    new, old, advantages = sizes
    with pytest.raises(ValueError, match=f"{new}, {old}, {advantages}"):
        clipped_policy_loss(torch.zeros(new, 4), torch.zeros(old, 4), torch.zeros(advantages), 0.2)


log_prob_tables = st.lists(st.lists(st.floats(-5, 0), min_size=3, max_size=3), min_size=1, max_size=4)


@given(log_prob_tables, log_prob_tables)
def test_the_kl_estimate_is_never_negative(new, old):
    size = min(len(new), len(old))
    new_BT, old_BT = (torch.tensor(table[:size], dtype=torch.float64) for table in (new, old))
    assert kl_estimate(new_BT, old_BT).item() >= -1e-12
    assert kl_estimate(new_BT, new_BT).item() == 0.0


def test_the_kl_estimate_of_an_architecture_by_hand():
    new_BT, old_BT = torch.tensor([[0.5, 0.25]]).log(), torch.tensor([[0.25, 0.25]]).log()
    assert kl_estimate(new_BT, old_BT).item() == pytest.approx(2.0 - 1.0 - math.log(2.0))


def mean_rewards(strategy: Strategy, num_proposals: int) -> Iterator[float]:
    """The share of a proposal's decisions that are 0, after the strategy has learned from it."""
    for _ in range(num_proposals):
        proposal = strategy.propose()
        reward = proposal.actions.count(0) / len(proposal.actions)
        strategy.observe(proposal, reward)
        yield reward


@pytest.mark.parametrize(
    "options", [{"redraws": 0, "entropy_weight": 0.02}, {**PAPER.model_dump(), "learning_rate": 0.01}]
)
def test_it_learns_what_random_search_does_not(options):
    learned = list(mean_rewards(make_ppo(seed=1, **options), 500))
    drawn = list(mean_rewards(make_strategy("random", TOY, seed=1), 500))
    assert sum(drawn) / 500 < 0.45
    assert sum(learned[:20]) / 20 < 0.6
    assert sum(learned[-100:]) / 100 > 0.85


@pytest.mark.slow
def test_a_policy_that_is_sure_of_itself_still_proposes_others_and_finds_the_best():
    rewards = list(mean_rewards(make_ppo(seed=1), 500))
    assert max(rewards[:300]) == 1.0
    assert max(mean_rewards(make_strategy("random", TOY, seed=1), 500)) < 0.9
    assert rewards.count(1.0) == 1
