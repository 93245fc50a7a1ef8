"""All settings of an automatic run, and the state that it keeps in its folder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raynas.config import FrozenModel
from raynas.data import DataConfig
from raynas.engine.config import WorkerConfig
from raynas.models.export import ExportFormat
from raynas.programs.auto.plan import Images, Paces, Plan
from raynas.tracking.config import TrackingConfig

STATE_FILE = "auto.json"
"""Name of the state. A folder that holds one is the folder of an automatic run."""

Stage = Literal["search", "promotion", "training", "done"]
Moment = Annotated[float, Field(ge=0, lt=253402300800)]
"""Seconds since 1970; up to the year 9999."""


class AutoConfig(FrozenModel):
    """Everything that an automatic run depends on."""

    data: DataConfig = DataConfig()
    hours: float = Field(gt=0, le=100_000, allow_inf_nan=False)
    """Hours of work from the look at the images to the report; pauses between a kill and a resume don't
    count.
    """
    export: ExportFormat = "onnx"
    """Format of the exported network."""
    space: str = Field("nasnet", min_length=1)
    """The search space."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of the search, of the data's split and of every training."""
    workers: WorkerConfig = WorkerConfig()
    """Workers of the search and of the promotion."""
    tracking: TrackingConfig = TrackingConfig()


class Session(FrozenModel):
    """One process's time at work."""

    began: Moment
    seen: Moment
    """When it was at work last."""


class AutoState(FrozenModel):
    """The content of auto.json: what was asked, what was planned, and how far it is."""

    format: Literal[1] = 1
    config: AutoConfig
    images: Images
    paces: Paces
    plan: Plan
    """The plan as it is now; the stages that are done have what was done."""
    first_plan: Plan
    """The plan as it was at the beginning."""
    stage: Stage = "search"
    """The stage that is under way."""
    sessions: tuple[Session, ...] = ()
    ends: dict[Stage, float] = Field(default_factory=dict)
    """Seconds of work after which each stage had ended."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Baselines that weren't trained, with the reason."""

    @property
    def spent_seconds(self) -> float:
        """Time at work so far, over all processes."""
        return sum(max(session.seen - session.began, 0.0) for session in self.sessions)

    @property
    def seconds_left(self) -> float:
        """Negative once the hours are over."""
        return self.config.hours * 3600 - self.spent_seconds
