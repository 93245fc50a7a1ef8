"""All settings of a search as one validated value, which the journal records."""

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
from raynas.training.config import ChildConfig, LatencyConfig

CHOICES: Mapping[str, Registry[Any]] = {"space": SPACES, "strategy": STRATEGIES, "reward": REWARDS}
"""Fields of SearchConfig that name a class, with the registry of that class."""


class SearchConfig(FrozenModel):
    """Everything that a search depends on."""

    # Defaults are validated too, because validation completes a Choice with the options of its class.
    model_config = ConfigDict(validate_default=True)

    space: Choice = Choice(name="nasnet")
    """The search space, with its options beside its name."""
    strategy: Choice = Choice(name="ppo")
    """The strategy that proposes architectures, with its options."""
    reward: Choice = Choice(name="accuracy")
    """The reward that the strategy gets for a child, with its options."""
    children: int = Field(24, ge=1)
    """Number of architectures to try; 20,000 in Zoph et al. 2018."""
    hours: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Hours after which the run ends: no child is handed out that would end later. A resume has them anew,
    and None means that time doesn't count.
    """
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of the strategy, of the data's split and of the children."""
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    limits: LimitsConfig = LimitsConfig()
    equal_cells: Literal["reuse", "retrain"] = "reuse"
    """What happens to an architecture that was trained before: 'reuse' takes over its score."""
    memo: str | None = Field(None, min_length=1)
    """Folder of a run or of several runs whose scores are reused, if they were trained in the same way."""
    child: ChildConfig = ChildConfig()
    latency: LatencyConfig = LatencyConfig()
    workers: WorkerConfig = WorkerConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    failures: FailuresConfig = FailuresConfig()
    tracking: TrackingConfig = TrackingConfig()
    origin: Origin | None = None
    """The run whose cells are promoted; None if this is no promotion."""

    @field_validator(*CHOICES)
    @classmethod
    def _complete(cls, choice: Choice, info: ValidationInfo) -> Choice:
        assert info.field_name is not None
        return CHOICES[info.field_name].complete(choice)

    @field_validator("memo")
    @classmethod
    def _is_of_use(cls, memo: str | None, info: ValidationInfo) -> str | None:
        if memo is not None and info.data.get("equal_cells") == "retrain":
            raise ValueError("its scores are to be reused, which equal_cells = 'retrain' forbids")
        return memo

    @property
    def measures_latency(self) -> bool:
        """Whether a limit, the reward or the latency settings need the latency of every child."""
        is_needed = self.limits.latency_ms is not None or "latency_ms" in self.make_reward().costs
        return self.latency.always or is_needed

    def make_space(self) -> SearchSpace:
        return make_space(self.space.name, **self.space.options)

    def make_strategy(self, space: SearchSpace) -> Strategy:
        return make_strategy(self.strategy.name, space, seed=self.seed, **self.strategy.options)

    def make_reward(self) -> Reward:
        return make_reward(self.reward.name, **self.reward.options)


CHANGEABLE = ("children", "hours", "workers", "tracking", "failures", "memo")
"""Settings that may differ when a run is resumed, because no child's result depends on them."""


def resumed_search_config(
    recorded: Mapping[str, Any], overrides: Mapping[str, Any], *, knows_images: bool = False
) -> SearchConfig:
    """The config of a resumed run.

    Args:
        recorded: the config that the run was started with.
        overrides: settings of the resume, nested.
        knows_images: the journal has a digest of the images. They may then lie elsewhere now, since it is
            checked later that they are the same.
    Raises:
        RunFolderError: an override contradicts what the run was started with.
    """
    before = validated(SearchConfig, recorded)
    for field in CHOICES:
        # Checked before validation, which would complain about the recorded options of the other class.
        asked = overrides.get(field, {})
        name = getattr(before, field).name
        if isinstance(asked, Mapping) and asked.get("name", name) != name:
            raise _contradiction(f"{field}.name", name, asked["name"])
    after = validated(SearchConfig, merged(recorded, overrides))
    for field, (old, new) in differences(before.model_dump(), after.model_dump()).items():
        is_elsewhere = field in ("data.source", "data.validation") and knows_images
        if field.split(".")[0] not in CHANGEABLE and not is_elsewhere:
            raise _contradiction(field, old, new)
    return after


def _contradiction(field: str, recorded: object, asked: object) -> RunFolderError:
    return RunFolderError(
        f"That run was started with {field} = {recorded!r}; now {field} = {asked!r} is asked. "
        f"A run can be resumed with other {', '.join(CHANGEABLE)} only. "
        f"Leave {field} as it was, or start a new run in another folder."
    )
