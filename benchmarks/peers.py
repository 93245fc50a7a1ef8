"""Optimizers that a user could take instead of raynas's strategies: Optuna's TPE and NSGA-II, SMAC's forest.

    pip install optuna smac
    OF=benchmarks.peers
    python -m raynas benchmark --recipe benchmarks/nasbench201_cifar10.toml --table TABLE --budget 2000 \
        --budget 5000 --budget 10000 --budget 20000 --strategies ego,local_search,$OF:TPE,$OF:NSGA2,$OF:SMAC

They are for this benchmark alone: every proposal has a reward, and nothing is resumed. Each decision is a
categorical variable, and all options are the packages' defaults.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

from raynas.cells.space import Actions
from raynas.strategies.strategy import Proposal, Strategy

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

MAX_CHILDREN = 100_000
"""SMAC must know a number of trials; no search of the benchmark has so many."""


class _Optuna(Strategy):
    """A study of Optuna that maximizes the reward, asked for each proposal and told each reward."""

    _study: Any = None

    def _sampler(self) -> BaseSampler:
        raise NotImplementedError

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        import optuna

        if self._study is None:
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            self._study = optuna.create_study(direction="maximize", sampler=self._sampler())
        trial = self._study.ask()
        actions = tuple(
            trial.suggest_categorical(f"decision_{number}", range(len(decision.choices)))
            for number, decision in enumerate(self.space.decisions)
        )
        return actions, {"trial": trial.number}

    def _learn(self, proposal: Proposal, reward: float) -> None:
        self._study.tell(proposal.info["trial"], reward)


class TPE(_Optuna):
    """Tree-structured Parzen estimator (Bergstra et al. 2011), Optuna's default sampler."""

    def _sampler(self) -> BaseSampler:
        from optuna.samplers import TPESampler

        return TPESampler(seed=self.seed)


class NSGA2(_Optuna):
    """The evolution of Deb et al. 2002, with one objective."""

    def _sampler(self) -> BaseSampler:
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(seed=self.seed)


class SMAC(Strategy):
    """SMAC's random forest with expected improvement (Lindauer et al. 2022, JMLR 23)."""

    _facade: Any = None

    def _begin(self) -> Any:
        from ConfigSpace import Categorical, ConfigurationSpace
        from smac import HyperparameterOptimizationFacade, Scenario

        variables = [
            Categorical(f"decision_{number}", list(range(len(decision.choices))))
            for number, decision in enumerate(self.space.decisions)
        ]
        space = ConfigurationSpace(seed=self.seed)
        space.add(variables)
        self._asked: dict[int, Any] = {}
        # SMAC writes its history there after every trial.
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            space,
            deterministic=True,
            n_trials=MAX_CHILDREN,
            seed=self.seed,
            output_directory=self._folder.name,
        )
        return HyperparameterOptimizationFacade(
            scenario,
            lambda config, seed: 0.0,
            initial_design=HyperparameterOptimizationFacade.get_initial_design(scenario, n_configs=10),
            logging_level=False,
        )

    def _draw(self, proposal_id: int) -> tuple[Actions, dict[str, Any]]:
        if self._facade is None:
            self._facade = self._begin()
        asked = self._facade.ask()
        self._asked[proposal_id] = asked
        actions = tuple(int(asked.config[f"decision_{index}"]) for index in range(len(self.space.decisions)))
        return actions, {}

    def _learn(self, proposal: Proposal, reward: float) -> None:
        from smac.runhistory import TrialValue

        self._facade.tell(self._asked.pop(proposal.id), TrialValue(cost=1.0 - reward), save=False)
