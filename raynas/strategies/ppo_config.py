"""The options of PPO, and those of the paper. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raynas.strategies.strategy import StrategyConfig


class PPOConfig(StrategyConfig):
    """Options of PPO and of its controller. "The paper" is Zoph et al. 2018, appendix A.2."""

    learning_rate: float = Field(0.01, gt=0)
    """Learning rate of Adam; 0.00035 in the paper."""
    batch_size: int = Field(5, ge=1, le=65536)
    """Number of rewards per update of the controller; 20 in the paper."""
    advantages: Literal["ranks", "baseline"] = "ranks"
    """'ranks': rank of a reward among the last `window` rewards, scaled to mean 0 and standard deviation 1;
    'baseline': reward minus the moving average of rewards, as in the paper.
    """
    window: int = Field(20, ge=2, le=65536)
    """Number of recent rewards that 'ranks' compares with; never fewer than `batch_size`."""
    baseline_weight: float = Field(0.95, ge=0, lt=1)
    """Weight of earlier rewards in the moving average of rewards; 0.95 in the paper."""
    entropy_weight: float = Field(0.2, ge=0)
    """Weight of the entropy bonus, in nats and averaged over decisions; 0.00001 in the paper."""
    clip: float = Field(0.2, gt=0)
    """Clip range of PPO: a ratio beyond 1 - clip or 1 + clip gains nothing more."""
    passes: int = Field(4, ge=1, le=100)
    """Gradient steps per mini-batch."""
    redraws: int = Field(9, ge=0, le=1000)
    """Maximum number of times that a repeated architecture is drawn again; 0 in the paper."""
    hidden_units: int = Field(32, ge=1, le=1024)
    """Hidden units of the LSTM; 100 in the paper."""


PAPER = PPOConfig(
    learning_rate=0.00035,
    batch_size=20,
    advantages="baseline",
    entropy_weight=0.00001,
    redraws=0,
    hidden_units=100,
)
"""Options of Zoph et al. 2018, appendix A.2."""
