"""raynas searches for convolutional cells with a reinforcement-learning controller on a Ray cluster.

    import raynas
    result = raynas.run_search()
    print(result)

A public name is imported at its first use: the networks work where Ray and MLflow are not installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # For type checkers and editors; the redundant alias marks a name as public (PEP 484).
    from raynas.cells.block import Block as Block
    from raynas.cells.genotype import CellGenotype as CellGenotype
    from raynas.cells.genotype import Genotype as Genotype
    from raynas.cells.space import Decision as Decision
    from raynas.cells.space import SearchSpace as SearchSpace
    from raynas.cells.space import register_space as register_space
    from raynas.engine.searcher import TuneSearcher as TuneSearcher
    from raynas.errors import RaynasError as RaynasError
    from raynas.errors import SearchFailed as SearchFailed
    from raynas.errors import TrainingFailed as TrainingFailed
    from raynas.errors import UsageError as UsageError
    from raynas.models.networks import build as build
    from raynas.nn import Network as Network
    from raynas.nn import NetworkConfig as NetworkConfig
    from raynas.programs.auto.auto import auto as auto
    from raynas.programs.benchmark.compare import benchmark as benchmark
    from raynas.programs.detect.detect import train_detector as train_detector
    from raynas.programs.evaluate.evaluate import evaluate as evaluate
    from raynas.programs.promote import promote as promote
    from raynas.programs.report.run.write import report as report
    from raynas.programs.search.execute import run_search as run_search
    from raynas.programs.search.prepare import prepare_search as prepare_search
    from raynas.programs.search.result import SearchResult as SearchResult
    from raynas.programs.train.execute import TrainResult as TrainResult
    from raynas.programs.train.train import train_final as train_final
    from raynas.strategies.rewards.reward import Outcome as Outcome
    from raynas.strategies.rewards.reward import Reward as Reward
    from raynas.strategies.rewards.reward import register_reward as register_reward
    from raynas.strategies.strategy import Proposal as Proposal
    from raynas.strategies.strategy import Strategy as Strategy
    from raynas.strategies.strategy import register_strategy as register_strategy

    __version__: str
else:
    _PUBLIC = {
        "raynas.cells.block": ("Block",),
        "raynas.cells.genotype": ("CellGenotype", "Genotype"),
        "raynas.cells.space": ("Decision", "SearchSpace", "register_space"),
        "raynas.engine.searcher": ("TuneSearcher",),
        "raynas.errors": ("RaynasError", "SearchFailed", "TrainingFailed", "UsageError"),
        "raynas.models.networks": ("build",),
        "raynas.nn": ("Network", "NetworkConfig"),
        "raynas.programs.auto.auto": ("auto",),
        "raynas.programs.benchmark.compare": ("benchmark",),
        "raynas.programs.detect.detect": ("train_detector",),
        "raynas.programs.evaluate.evaluate": ("evaluate",),
        "raynas.programs.promote": ("promote",),
        "raynas.programs.report.run.write": ("report",),
        "raynas.programs.search.execute": ("run_search",),
        "raynas.programs.search.prepare": ("prepare_search",),
        "raynas.programs.search.result": ("SearchResult",),
        "raynas.programs.train.execute": ("TrainResult",),
        "raynas.programs.train.train": ("train_final",),
        "raynas.strategies.rewards.reward": ("Outcome", "Reward", "register_reward"),
        "raynas.strategies.strategy": ("Proposal", "Strategy", "register_strategy"),
    }
    _MODULES = {name: module for module, names in _PUBLIC.items() for name in names}
    __all__ = sorted(_MODULES)

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("raynas")
        if name not in _MODULES:
            raise AttributeError(f"module 'raynas' has no attribute {name!r}")
        return getattr(importlib.import_module(_MODULES[name]), name)

    def __dir__() -> list[str]:
        return sorted([*__all__, "__version__"])
