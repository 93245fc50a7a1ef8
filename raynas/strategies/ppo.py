"""Proximal policy optimisation (PPO) of the LSTM controller, without waiting for slow children.

There are two sets of options. The recipe `nasnet_paper` follows Zoph et al. 2018, appendices A.2 and A.3, and
is meant for 20,000 children: learning rate 0.00035, entropy weight 0.00001, mini-batches of 20, and as the
baseline an exponential moving average of the rewards with weight 0.95. The defaults are meant for tens to
thousands of children. They come from an ablation on NAS-Bench-201 (benchmarks/README.md) and differ from the
paper in three ways that matter:

- mini-batches are small and the learning rate is large;
- an advantage is the rank of a reward among the most recent ones, so that neither the scale of rewards nor
  outliers matter;
- an architecture that was proposed before is drawn again, at rising temperatures, until a new one is found.

The paper doesn't specify the following, in either set: the optimiser (Adam here), the clip and the passes per
mini-batch (0.2 and 4; Schulman et al. 2017 use 0.2 and 3 to 15), the ratio (one per decision here, not one
per architecture), and the start of the baseline (the mean of the first mini-batch).

Training is asynchronous: the controller is updated whenever a mini-batch of rewards is complete, in whatever
order the children finish. A mini-batch may therefore hold proposals of several policy versions. Each proposal
carries the log-probabilities of the policy that drew it, and the ratio is taken against those.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import math
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor
from typing_extensions import TypeVar

from raynas.cells.space import Actions, SearchSpace
from raynas.nn.eager_optimizers import Adam
from raynas.strategies.controller import Array, Controller, Sample, Sampler
from raynas.strategies.ppo_config import PPOConfig
from raynas.strategies.ppo_snapshot import Recalled, learned_arrays
from raynas.strategies.strategy import Proposal, Strategy, register_strategy

PPOConfigT = TypeVar("PPOConfigT", bound=PPOConfig, default=PPOConfig, covariant=True)

WARMING = 0.25
"""Increase of the sampling temperature per redraw."""


@register_strategy("ppo")
class PPO(Strategy[PPOConfigT]):
    """The LSTM controller trained with PPO; with the options PAPER, the strategy of the NASNet paper."""

    Config = PPOConfig

    def __init__(self, space: SearchSpace, config: PPOConfigT, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        num_choices = [len(decision.choices) for decision in space.decisions]
        self.controller = Controller(
            num_choices, hidden_units=self.config.hidden_units, generator=torch.Generator().manual_seed(seed)
        )
        self._sampler: Sampler | None = None
        self.optimizer = Adam(self.controller.parameters(), lr=self.config.learning_rate)
        self.baseline: float | None = None
        self.policy_version = 0
        self._batch: list[tuple[Proposal, float]] = []
        # At least as long as a mini-batch, whose rewards must all be among those that they are ranked with.
        self._recent: deque[float] = deque(maxlen=max(self.config.window, self.config.batch_size))
        # Everything that was ever proposed, trained or not: a repeated architecture is drawn again.
        self._proposed: set[Actions] = set()
        self._history: list[dict[str, float]] = []
        self._recalled: Recalled | None = None

    def learned(self) -> Mapping[str, Array] | None:
        return learned_arrays(self.controller, self.optimizer, self._history) if self._history else None

    def recall(self, learned: Mapping[str, Array]) -> int:
        self._recalled = Recalled(learned, self.controller)
        return self._recalled.num_updates

    @property
    def is_behind(self) -> bool:
        return self._recalled is not None

    def adopt(self, proposal: Proposal) -> None:
        super().adopt(proposal)
        self._proposed.add(proposal.actions)

    def sampler(self) -> Sampler:
        """A sampler of the current policy."""
        # Made on demand: a replay updates the controller a thousand times and samples once.
        self._sampler = self._sampler or self.controller.sampler()
        return self._sampler

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        with one_thread():
            # Seeded by the proposal's number instead of carried along: a resumed run, which draws nothing in
            # its replay, then draws the same as an uninterrupted one.
            rng = np.random.default_rng([self.seed, proposal_id])
            sample = self.sampler().draw(rng)
            for redraw in range(self.config.redraws):
                if sample.actions not in self._proposed:
                    break
                # At a constant temperature a policy that has nearly converged would repeat itself in every
                # redraw.
                sample = self.sampler().draw(rng, temperature=1.0 + WARMING * (redraw + 1))
        return sample.actions, self._info(sample)

    def _info(self, sample: Sample) -> dict[str, Any]:
        return {"log_probs": list(sample.log_probs), "policy_version": self.policy_version}

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        # Rewards wait here until a mini-batch is complete. Waiting for particular proposals instead would
        # make all workers wait for the slowest child.
        self._batch.append((proposal, reward))
        if len(self._batch) < self.config.batch_size:
            return None
        batch, self._batch = self._batch, []
        # Before the branch, because the baseline and the recent rewards move on during a skipped update too.
        # They are not among the arrays that are recalled.
        advantages_B = self._advantages([reward for _, reward in batch])
        if self._recalled is not None:
            statistics = self._skip_update(self._recalled)
        else:
            with one_thread():
                statistics = self._update(batch, advantages_B)
        self._history.append(statistics)
        self.policy_version += 1
        return {"policy_version": float(self.policy_version), **statistics}

    def _skip_update(self, recalled: Recalled) -> dict[str, float]:
        """Takes the place of an update whose outcome is known. Returns its statistics."""
        # The weights in between are never used: during a replay nothing is drawn.
        if self.policy_version + 1 == recalled.num_updates:
            # Adam corrects the bias of its moments by the number of steps, so the number is restored with
            # them.
            num_steps = recalled.num_updates * self.config.passes
            recalled.restore(self.controller, self.optimizer, num_steps=num_steps)
            self._recalled = self._sampler = None
        return recalled.statistics(self.policy_version)

    def _update(self, batch: list[tuple[Proposal, float]], advantages_B: Tensor) -> dict[str, float]:
        rewards = [reward for _, reward in batch]
        actions_BT = torch.tensor([proposal.actions for proposal, _ in batch])
        # In a resumed run `info` comes from the journal, where it may be anything that JSON can hold.
        old_log_probs_BT = torch.tensor([proposal.info["log_probs"] for proposal, _ in batch])
        if old_log_probs_BT.shape != actions_BT.shape:
            raise ValueError(
                f"log_probs of shape {tuple(old_log_probs_BT.shape)} for {tuple(actions_BT.shape)}"
            )
        # The recorded log-probabilities stay fixed over all passes: the ratio measures how far the policy has
        # moved from the one that drew each architecture, and the clip limits that distance.
        for _ in range(self.config.passes):
            log_probs_BT, entropy_BT = self.controller.log_probs(actions_BT)
            loss = clipped_policy_loss(log_probs_BT, old_log_probs_BT, advantages_B, self.config.clip)
            # A mean over decisions, so that the same weight suits spaces of any length. The statistic in
            # `_statistics` is the sum, the entropy of a whole architecture.
            loss = loss - self.config.entropy_weight * entropy_BT.mean()
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        # It is a copy of the policy from before the update.
        self._sampler = None
        return self._statistics(actions_BT, old_log_probs_BT, rewards)

    def _advantages(self, rewards: list[float]) -> Tensor:
        # The new rewards first: each of them is ranked among all recent ones, itself included.
        self._recent.extend(rewards)
        baseline = self._move_baseline(rewards)
        if self.config.advantages == "baseline":
            return torch.tensor(rewards) - baseline
        return torch.tensor(ranks(rewards, self._recent))

    def _move_baseline(self, rewards: list[float]) -> float:
        """Adds the rewards to the moving average and returns the average from before."""
        # The baseline of a mini-batch is the average from before it. One that held the batch's own rewards
        # would depend on the actions, and would bias the gradient; only the first mini-batch has no other.
        before = sum(rewards) / len(rewards) if self.baseline is None else self.baseline
        self.baseline = before
        for reward in rewards:
            self.baseline = (
                self.config.baseline_weight * self.baseline + (1 - self.config.baseline_weight) * reward
            )
        return before

    @torch.no_grad()
    def _statistics(
        self, actions_BT: Tensor, old_log_probs_BT: Tensor, rewards: list[float]
    ) -> dict[str, float]:
        log_probs_BT, entropy_BT = self.controller.log_probs(actions_BT)
        assert self.baseline is not None
        return {
            "mean_reward": sum(rewards) / len(rewards),
            "baseline": self.baseline,
            "entropy": entropy_BT.sum(dim=1).mean().item(),
            "kl": kl_estimate(log_probs_BT, old_log_probs_BT).item(),
        }


def ranks(rewards: Sequence[float], among: Collection[float]) -> list[float]:
    """Rank of each reward among others, scaled to [-sqrt(3), sqrt(3)]; ties share their mean rank.

    The scale is that of a uniform distribution with mean 0 and standard deviation 1.
    """
    ordered = sorted(among)
    # The sum of both bisections is twice the middle of the places that a reward and its ties take.
    places = [
        bisect.bisect_left(ordered, reward) + bisect.bisect_right(ordered, reward) for reward in rewards
    ]
    # A uniform distribution of width 1 has the standard deviation 1 / sqrt(12).
    return [math.sqrt(12.0) * (place / (2 * len(ordered)) - 0.5) for place in places]


def clipped_policy_loss(
    log_probs_BT: Tensor, old_log_probs_BT: Tensor, advantages_B: Tensor, clip: float
) -> Tensor:
    """Negative PPO objective, averaged over architectures and decisions.

    Args:
        log_probs_BT: log-probabilities of the actions under the current policy, in nats, with gradient.
        old_log_probs_BT: log-probabilities under the policy that drew them, as recorded in the proposals.
        advantages_B: advantage of each architecture, shared by its decisions.
        clip: largest distance from 1 up to which a ratio changes the loss.
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
    # The minimum makes the clip one-sided: a ratio that has moved the wrong way keeps its gradient, however
    # far it is.
    return -torch.minimum(ratio_BT * advantages_B[:, None], clipped_BT * advantages_B[:, None]).mean()


def kl_estimate(log_probs_BT: Tensor, old_log_probs_BT: Tensor) -> Tensor:
    """Estimate of KL(old || new) between distributions of whole architectures, in nats.

    Uses samples of the old policy. The estimate is unbiased and never negative: exp(x) - 1 - x >= 0 (Schulman
    2020, "Approximating KL Divergence", estimator k3).
    """
    difference_BT = log_probs_BT - old_log_probs_BT
    return (difference_BT.exp() - 1.0 - difference_BT).sum(dim=1).mean()


@functools.cache
def _blas() -> ThreadpoolController:
    # Kept, because it searches all loaded libraries for BLAS, and `one_thread` is entered at every proposal.
    return ThreadpoolController()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Restricts linear algebra to one thread inside the block.

    The order of the sums in a matrix product depends on the number of threads, and a replay must reproduce
    every bit. Besides, products as small as these are faster on one thread: on a busy machine, threads would
    mostly wait for each other.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # NumPy's and SciPy's BLAS has threads of its own, which torch.set_num_threads doesn't reach.
        with _blas().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(threads)
