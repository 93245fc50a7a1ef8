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
    from raynas.block import Block
    from raynas.engine.searcher import TuneSearcher
    from raynas.errors import RaynasError, SearchFailed, TrainingFailed, UsageError
    from raynas.genotype import CellGenotype, Genotype
    from raynas.networks import build
    from raynas.nn import Network, NetworkConfig
    from raynas.reward import Outcome, Reward, register_reward
    from raynas.search import SearchResult, run_search
    from raynas.space import Decision, SearchSpace, register_space
    from raynas.strategy import Proposal, Strategy, register_strategy
    from raynas.train import TrainResult, train_final

_HOMES = {
    "Block": "raynas.genotype",
    "CellGenotype": "raynas.genotype",
    "Decision": "raynas.space",
    "Genotype": "raynas.genotype",
    "Network": "raynas.nn",
    "NetworkConfig": "raynas.nn",
    "Outcome": "raynas.reward",
    "Proposal": "raynas.strategy",
    "RaynasError": "raynas.errors",
    "Reward": "raynas.reward",
    "SearchFailed": "raynas.errors",
    "SearchResult": "raynas.search",
    "SearchSpace": "raynas.space",
    "Strategy": "raynas.strategy",
    "TrainResult": "raynas.train",
    "TrainingFailed": "raynas.errors",
    "TuneSearcher": "raynas.engine.searcher",
    "UsageError": "raynas.errors",
    "build": "raynas.networks",
    "register_reward": "raynas.reward",
    "register_space": "raynas.space",
    "register_strategy": "raynas.strategy",
    "run_search": "raynas.search",
    "train_final": "raynas.train",
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
