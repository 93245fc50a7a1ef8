"""PPO on the LSTM controller, asynchronous: it learns whenever a mini-batch of rewards is complete.

Two sets of options. The recipe `nasnet_paper` is Zoph et al. 2018, A.2-A.3, for 20,000 children: learning
rate 0.00035, entropy weight 0.00001, a baseline that is an exponential moving average of the rewards with
weight 0.95, mini-batches of 20. The defaults are for tens to thousands, found by an ablation on a table
(benchmarks/README.md), and differ in three things that matter: small mini-batches and a large learning rate;
advantages that are ranks among the last rewards, so that neither their scale nor an outlier counts; and no
architecture is proposed again as long as redraws find another. Not in the paper either: Adam, the clip of 0.2
and 4 passes per mini-batch (Schulman et al. 2017 use 0.2 and 3 to 15), one ratio per decision instead of one
per architecture, and a baseline that starts at the mean of the first mini-batch.

Rewards come in any order, and a mini-batch may hold proposals of several policy versions: each carries the
log-probabilities of the policy that drew it, and the ratio is taken against those.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import math
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from threadpoolctl import ThreadpoolController
from torch import Tensor
from typing_extensions import TypeVar

from raynas.cells.space import Actions, SearchSpace
from raynas.strategies.controller import Array, Controller, Sample, Sampler
from raynas.strategies.ppo_snapshot import Recalled, learned_arrays
from raynas.strategies.strategy import Proposal, Strategy, StrategyConfig, register_strategy


class PPOConfig(StrategyConfig):
    """Hyper-parameters of the controller; ours unless a source is named."""

    learning_rate: float = Field(0.01, gt=0)
    """Of Adam; 0.00035 in Zoph et al. 2018, A.2."""
    batch_size: int = Field(5, ge=1, le=65536)
    """Architectures per update; 20 in the paper."""
    advantages: Literal["ranks", "baseline"] = "ranks"
    """'ranks': an architecture's rank among the last `window` rewards, its mean 0 and its deviation 1;
    'baseline': reward less the moving average of rewards, as in the paper.
    """
    window: int = Field(20, ge=2, le=65536)
    """Of 'ranks'; at least a mini-batch is taken."""
    baseline_weight: float = Field(0.95, ge=0, lt=1)
    """Weight of the past in the moving average of rewards. Zoph et al. 2018, A.2."""
    entropy_weight: float = Field(0.2, ge=0)
    """Of the entropy in nats, averaged over decisions; 0.00001 in the paper."""
    clip: float = Field(0.2, gt=0)
    """Half-width of the trust interval of the ratio."""
    passes: int = Field(4, ge=1, le=100)
    """Gradient steps per mini-batch."""
    redraws: int = Field(9, ge=0, le=1000)
    """Times that an architecture that was proposed before is drawn anew, each at a higher temperature; 0 in
    the paper.
    """
    hidden_units: int = Field(32, ge=1, le=1024)
    """Of the LSTM; 100 in the paper."""


PPOConfigT = TypeVar("PPOConfigT", bound=PPOConfig, default=PPOConfig, covariant=True)

WARMING = 0.25
"""What each redraw adds to the temperature."""

PAPER = PPOConfig(
    learning_rate=0.00035,
    batch_size=20,
    advantages="baseline",
    entropy_weight=0.00001,
    redraws=0,
    hidden_units=100,
)
"""Zoph et al. 2018, A.2."""


@register_strategy("ppo")
class PPO(Strategy[PPOConfigT]):
    """The controller; with the options PAPER, as the paper has it."""

    Config = PPOConfig

    def __init__(self, space: SearchSpace, config: PPOConfigT, *, seed: int) -> None:
        super().__init__(space, config, seed=seed)
        num_choices = [len(decision.choices) for decision in space.decisions]
        self.controller = Controller(
            num_choices, hidden_units=self.config.hidden_units, generator=torch.Generator().manual_seed(seed)
        )
        self._sampler: Sampler | None = None
        self.optimizer = torch.optim.Adam(self.controller.parameters(), lr=self.config.learning_rate)
        self.baseline: float | None = None
        self.policy_version = 0
        self._batch: list[tuple[Proposal, float]] = []
        self._recent: deque[float] = deque(maxlen=max(self.config.window, self.config.batch_size))
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
        """The policy as it is now; made when it is asked for: a replay learns a thousand times and draws
        once.
        """
        self._sampler = self._sampler or self.controller.sampler()
        return self._sampler

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        with one_thread():
            rng = np.random.default_rng([self.seed, proposal_id])
            sample = self.sampler().draw(rng)
            for redraw in range(self.config.redraws):
                if sample.actions not in self._proposed:
                    break
                # Warmer from draw to draw: a policy that is sure of itself would go on proposing the same.
                sample = self.sampler().draw(rng, temperature=1.0 + WARMING * (redraw + 1))
        return sample.actions, self._info(sample)

    def _info(self, sample: Sample) -> dict[str, Any]:
        return {"log_probs": list(sample.log_probs), "policy_version": self.policy_version}

    def _learn(self, proposal: Proposal, reward: float) -> dict[str, float] | None:
        self._batch.append((proposal, reward))
        if len(self._batch) < self.config.batch_size:
            return None
        batch, self._batch = self._batch, []
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
        """In a replay: what comes of it is known."""
        if self.policy_version + 1 == recalled.num_updates:
            num_steps = recalled.num_updates * self.config.passes
            recalled.restore(self.controller, self.optimizer, num_steps=num_steps)
            self._recalled = self._sampler = None
        return recalled.statistics(self.policy_version)

    def _update(self, batch: list[tuple[Proposal, float]], advantages_B: Tensor) -> dict[str, float]:
        rewards = [reward for _, reward in batch]
        actions_BT = torch.tensor([proposal.actions for proposal, _ in batch])
        old_log_probs_BT = torch.tensor([proposal.info["log_probs"] for proposal, _ in batch])
        if old_log_probs_BT.shape != actions_BT.shape:
            raise ValueError(
                f"log_probs of shape {tuple(old_log_probs_BT.shape)} for {tuple(actions_BT.shape)}"
            )
        for _ in range(self.config.passes):
            log_probs_BT, entropy_BT = self.controller.log_probs(actions_BT)
            loss = clipped_policy_loss(log_probs_BT, old_log_probs_BT, advantages_B, self.config.clip)
            loss = loss - self.config.entropy_weight * entropy_BT.mean()
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        self._sampler = None
        return self._statistics(actions_BT, old_log_probs_BT, rewards)

    def _advantages(self, rewards: list[float]) -> Tensor:
        self._recent.extend(rewards)
        baseline = self._move_baseline(rewards)
        if self.config.advantages == "baseline":
            return torch.tensor(rewards) - baseline
        return torch.tensor(ranks(rewards, self._recent))

    def _move_baseline(self, rewards: list[float]) -> float:
        """Takes the rewards into the moving average; returns the baseline as it was before them."""
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
    """The rank of each reward among others, from -1.73 for the worst to 1.73 for the best; a tie counts half.

    If all of `among` are asked for and differ, mean 0 and, but for the finite number, standard deviation 1.
    """
    ordered = sorted(among)
    places = [
        bisect.bisect_left(ordered, reward) + bisect.bisect_right(ordered, reward) for reward in rewards
    ]
    return [math.sqrt(12.0) * (place / (2 * len(ordered)) - 0.5) for place in places]


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
def one_thread() -> Iterator[None]:
    """Linear algebra on one thread for the block.

    The sums of a matrix product depend on the number of threads; a replay must give the same bits. And of
    products this small, threads that wait for each other on a busy machine take most of the time.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _blas().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(threads)
