"""The whole of a search as one validated value: what `--set` sets and the journal records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from raynas.cells.space import SPACES, SearchSpace, make_space
from raynas.child import LimitsConfig
from raynas.config import Choice, FrozenModel, differences, merged, validated
from raynas.data import DataConfig
from raynas.engine.config import SchedulerConfig, WorkerConfig
from raynas.errors import RunFolderError
from raynas.nn import NetworkConfig
from raynas.registry import Registry
from raynas.run.events import Origin
from raynas.run.failures import FailuresConfig
from raynas.strategies.rewards.reward import REWARDS, Reward, make_reward
from raynas.strategies.strategy import STRATEGIES, Strategy, make_strategy
from raynas.tracking.config import TrackingConfig
from raynas.training import ChildConfig, LatencyConfig

CHOICES: Mapping[str, Registry[Any]] = {"space": SPACES, "strategy": STRATEGIES, "reward": REWARDS}
"""Fields of SearchConfig that name a class, and where that class is looked up."""


class SearchConfig(FrozenModel):
    """Everything that a search depends on."""

    # Defaults too: validation completes a Choice with the options of what it names.
    model_config = ConfigDict(validate_default=True)

    space: Choice = Choice(name="nasnet")
    """Which search space; its options are space.*."""
    strategy: Choice = Choice(name="ppo")
    """Who chooses; its options are strategy.*."""
    reward: Choice = Choice(name="accuracy")
    """What the strategy is told of a child; its options are reward.*."""
    children: int = Field(24, ge=1)
    """How many architectures are tried; 20,000 in the paper."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the strategy, the split of the data and the children."""
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    limits: LimitsConfig = LimitsConfig()
    equal_cells: Literal["reuse", "retrain"] = "reuse"
    """What becomes of an architecture that was trained before: 'reuse' gives it that score."""
    memo: str | None = Field(None, min_length=1)
    """A run's folder, or a folder of runs: scores of the same fidelity (raynas/run/reuse.py) are reused."""
    child: ChildConfig = ChildConfig()
    latency: LatencyConfig = LatencyConfig()
    workers: WorkerConfig = WorkerConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    failures: FailuresConfig = FailuresConfig()
    tracking: TrackingConfig = TrackingConfig()
    origin: Origin | None = None
    """Of a promotion: the run whose cells are promoted."""

    @field_validator(*CHOICES)
    @classmethod
    def _complete(cls, choice: Choice, info: ValidationInfo) -> Choice:
        assert info.field_name is not None
        return CHOICES[info.field_name].complete(choice)

    @field_validator("memo")
    @classmethod
    def _is_of_use(cls, memo: str | None, info: ValidationInfo) -> str | None:
        if memo is not None and info.data.get("equal_cells") == "retrain":
            raise ValueError("its scores are to be reused, and equal_cells = 'retrain' says not to")
        return memo

    @property
    def measures_latency(self) -> bool:
        """Whether anything asks for the latency of every child."""
        is_needed = self.limits.latency_ms is not None or "latency_ms" in self.make_reward().costs
        return self.latency.always or is_needed

    def make_space(self) -> SearchSpace:
        return make_space(self.space.name, **self.space.options)

    def make_strategy(self, space: SearchSpace) -> Strategy:
        return make_strategy(self.strategy.name, space, seed=self.seed, **self.strategy.options)

    def make_reward(self) -> Reward:
        return make_reward(self.reward.name, **self.reward.options)


CHANGEABLE = ("children", "workers", "tracking", "failures", "memo")
"""What may differ when a run is resumed: it does not change what any child's result would be."""


def resumed_config(recorded: Mapping[str, Any], overrides: Mapping[str, Any]) -> SearchConfig:
    """The config of a run that is resumed with these words on the command line.

    Raises:
        RunFolderError: an override contradicts what the run was started with.
    """
    before = validated(SearchConfig, recorded)
    for field in CHOICES:
        # Another name first: the recorded options would not be its own.
        asked, name = overrides.get(field, {}), getattr(before, field).name
        if isinstance(asked, Mapping) and asked.get("name", name) != name:
            raise _contradiction(f"{field}.name", name, asked["name"])
    after = validated(SearchConfig, merged(recorded, overrides))
    for field, (old, new) in differences(before.model_dump(), after.model_dump()).items():
        if field.split(".")[0] not in CHANGEABLE:
            raise _contradiction(field, old, new)
    return after


def _contradiction(field: str, recorded: object, asked: object) -> RunFolderError:
    return RunFolderError(
        f"That run was started with {field} = {recorded!r}; now {field} = {asked!r} is asked. "
        f"A run can be resumed with other {', '.join(CHANGEABLE)} only. "
        "Leave it out, or start a new run with another --out."
    )
