"""raynas searches for convolutional cells with a reinforcement-learning controller on a Ray cluster.

    import raynas
    result = raynas.run_search()
    print(result.leaderboard[0])

Names are imported when they are used: the torch layer works where Ray and MLflow are not installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raynas.cells.block import Block
    from raynas.cells.genotype import CellGenotype, Genotype
    from raynas.cells.space import Decision, SearchSpace, register_space
    from raynas.engine.searcher import TuneSearcher
    from raynas.errors import RaynasError, SearchFailed, TrainingFailed, UsageError
    from raynas.models.networks import build
    from raynas.nn import Network, NetworkConfig
    from raynas.programs.search.execute import SearchResult, run_search
    from raynas.programs.train.train import TrainResult, train_final
    from raynas.strategies.rewards.reward import Outcome, Reward, register_reward
    from raynas.strategies.strategy import Proposal, Strategy, register_strategy

_HOMES = {
    "Block": "raynas.cells.genotype",
    "CellGenotype": "raynas.cells.genotype",
    "Decision": "raynas.cells.space",
    "Genotype": "raynas.cells.genotype",
    "Network": "raynas.nn",
    "NetworkConfig": "raynas.nn",
    "Outcome": "raynas.strategies.rewards.reward",
    "Proposal": "raynas.strategies.strategy",
    "RaynasError": "raynas.errors",
    "Reward": "raynas.strategies.rewards.reward",
    "SearchFailed": "raynas.errors",
    "SearchResult": "raynas.programs.search.execute",
    "SearchSpace": "raynas.cells.space",
    "Strategy": "raynas.strategies.strategy",
    "TrainResult": "raynas.programs.train.train",
    "TrainingFailed": "raynas.errors",
    "TuneSearcher": "raynas.engine.searcher",
    "UsageError": "raynas.errors",
    "build": "raynas.models.networks",
    "register_reward": "raynas.strategies.rewards.reward",
    "register_space": "raynas.cells.space",
    "register_strategy": "raynas.strategies.strategy",
    "run_search": "raynas.programs.search.execute",
    "train_final": "raynas.programs.train.train",
}
__all__ = [
    "Block",
    "CellGenotype",
    "Decision",
    "Genotype",
    "Network",
    "NetworkConfig",
    "Outcome",
    "Proposal",
    "RaynasError",
    "Reward",
    "SearchFailed",
    "SearchResult",
    "SearchSpace",
    "Strategy",
    "TrainResult",
    "TrainingFailed",
    "TuneSearcher",
    "UsageError",
    "build",
    "register_reward",
    "register_space",
    "register_strategy",
    "run_search",
    "train_final",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'raynas' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
