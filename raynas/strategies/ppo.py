"""PPO on the LSTM controller, asynchronous: it learns whenever a mini-batch of rewards is complete.

From Zoph et al. 2018, A.2-A.3: learning rate 0.00035, entropy weight 0.00001, baseline an exponential moving
average of the rewards with weight 0.95, mini-batches of 20 architectures. Not in the paper, and ours: Adam,
the clip of 0.2 and 4 passes per mini-batch (Schulman et al. 2017 use 0.2 and 3 to 15), one ratio per
decision instead of one per architecture, and a baseline that starts at the mean of the first mini-batch.

Rewards come in any order, and a mini-batch may hold proposals of several policy versions: each carries the
log-probabilities of the policy that drew it, and the ratio is taken against those.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from pydantic import Field
from threadpoolctl import ThreadpoolController
from torch import Tensor

from raynas.space import Actions, SearchSpace
from raynas.strategies.controller import Controller, Sampler
from raynas.strategy import Proposal, Strategy, StrategyConfig, register_strategy


class PPOConfig(StrategyConfig):
    """Hyper-parameters of the controller."""

    learning_rate: float = Field(0.00035, gt=0)
    """Of Adam. Zoph et al. 2018, A.2."""
    entropy_weight: float = Field(0.00001, ge=0)
    """Of the entropy summed over decisions, in nats. Zoph et al. 2018, A.2."""
    baseline_weight: float = Field(0.95, ge=0, lt=1)
    """Weight of the past in the moving average of rewards. Zoph et al. 2018, A.2."""
    batch_size: int = Field(20, ge=1)
    """Architectures per update. Zoph et al. 2018, A.2."""
    clip: float = Field(0.2, gt=0)
    """Half-width of the trust interval of the ratio; ours."""
    passes: int = Field(4, ge=1, le=100)
    """Gradient steps per mini-batch; ours."""
    hidden_units: int = Field(100, ge=1, le=1024)
    """Of the LSTM. Zoph et al. 2018, A.2."""


@register_strategy("ppo")
class PPO(Strategy):
    """The paper's controller."""

    Config = PPOConfig

    def __init__(self, space: SearchSpace, config: StrategyConfig, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        self.options = cast(PPOConfig, config)
        num_choices = [len(decision.choices) for decision in space.decisions]
        self.controller = Controller(
            num_choices, hidden_units=self.options.hidden_units, generator=torch.Generator().manual_seed(seed)
        )
        self._sampler: Sampler | None = None
        self.optimizer = torch.optim.Adam(self.controller.parameters(), lr=self.options.learning_rate)
        self.baseline: float | None = None
        self.policy_version = 0
        self._batch: list[tuple[Proposal, float]] = []

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        with _one_thread():
            # Made when it is asked for: a replay learns a thousand times and draws once.
            self._sampler = self._sampler or self.controller.sampler()
            sample = self._sampler.draw(np.random.default_rng([self.seed, proposal_id]))
        return sample.actions, {"log_probs": list(sample.log_probs), "policy_version": self.policy_version}

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        self._batch.append((proposal, reward))
        if len(self._batch) < self.options.batch_size:
            return None
        batch, self._batch = self._batch, []
        with _one_thread():
            return self._update(batch)

    def _update(self, batch: list[tuple[Proposal, float]]) -> dict[str, float]:
        rewards = [reward for _, reward in batch]
        actions_BT = torch.tensor([proposal.actions for proposal, _ in batch])
        old_log_probs_BT = torch.tensor([proposal.info["log_probs"] for proposal, _ in batch])
        advantages_B = torch.tensor(rewards) - self._move_baseline(rewards)
        for _ in range(self.options.passes):
            log_probs_BT, entropy_BT = self.controller.log_probs(actions_BT)
            loss = clipped_policy_loss(log_probs_BT, old_log_probs_BT, advantages_B, self.options.clip)
            loss = loss - self.options.entropy_weight * entropy_BT.sum(dim=1).mean()
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        self._sampler = None
        self.policy_version += 1
        return self._statistics(actions_BT, old_log_probs_BT, rewards)

    def _move_baseline(self, rewards: list[float]) -> float:
        """Takes the rewards into the moving average; returns the baseline as it was before them."""
        before = sum(rewards) / len(rewards) if self.baseline is None else self.baseline
        self.baseline = before
        for reward in rewards:
            self.baseline = (
                self.options.baseline_weight * self.baseline + (1 - self.options.baseline_weight) * reward
            )
        return before

    @torch.no_grad()
    def _statistics(
        self, actions_BT: Tensor, old_log_probs_BT: Tensor, rewards: list[float]
    ) -> dict[str, float]:
        log_probs_BT, entropy_BT = self.controller.log_probs(actions_BT)
        assert self.baseline is not None
        return {
            "policy_version": float(self.policy_version),
            "mean_reward": sum(rewards) / len(rewards),
            "baseline": self.baseline,
            "entropy": entropy_BT.sum(dim=1).mean().item(),
            "kl": kl_estimate(log_probs_BT, old_log_probs_BT).item(),
        }


def clipped_policy_loss(
    log_probs_BT: Tensor, old_log_probs_BT: Tensor, advantages_B: Tensor, clip: float
) -> Tensor:
    """Negative PPO objective, averaged over architectures and decisions.

    Args:
        log_probs_BT: under the current policy, with gradient; natural logarithm.
        old_log_probs_BT: as recorded in the Proposal when it was drawn; no gradient.
        advantages_B: reward minus baseline.
        clip: half-width of the trust interval of the ratio.
    Returns:
        Scalar, to be minimised.
    Raises:
        ValueError: the three batch sizes differ.
    Source: Schulman et al. 2017 (arXiv 1707.06347), eq. 7.
    """
    if not len(log_probs_BT) == len(old_log_probs_BT) == len(advantages_B):
        raise ValueError(
            f"batch sizes differ: {len(log_probs_BT)}, {len(old_log_probs_BT)}, {len(advantages_B)}"
        )
    ratio_BT = (log_probs_BT - old_log_probs_BT).exp()
    clipped_BT = ratio_BT.clamp(1.0 - clip, 1.0 + clip)
    return -torch.minimum(ratio_BT * advantages_B[:, None], clipped_BT * advantages_B[:, None]).mean()


def kl_estimate(log_probs_BT: Tensor, old_log_probs_BT: Tensor) -> Tensor:
    """KL(old || new) of whole architectures in nats, estimated without bias from samples of the old policy;
    >= 0.
    """
    difference_BT = log_probs_BT - old_log_probs_BT
    return (difference_BT.exp() - 1.0 - difference_BT).sum(dim=1).mean()


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    # The sums of a matrix product depend on the number of threads; a replay must give the same bits. And of
    # products this small, threads that wait for each other on a busy machine take most of the time.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _blas().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(threads)
