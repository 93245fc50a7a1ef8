"""Settings of MLflow tracking. Pure Python, like everything that a config imports."""

from __future__ import annotations

from pydantic import Field, field_validator

from raynas.config import FrozenModel

TRACKER_SECONDS = 60.0
"""Time that MLflow gets at the end of a run to take what is still queued."""
INTERRUPTED_TRACKER_SECONDS = 5.0
"""Time that it gets after an interruption; `raynas sync` or a resume later writes the rest of a search."""
FORBIDDEN_IN_MODEL_NAMES = "/:"
"""Characters that MLflow refuses in the name of a registered model."""


class TrackingConfig(FrozenModel):
    """Whether and where MLflow is written."""

    enabled: bool = True
    """false writes the journal only."""
    uri: str | None = None
    """URI of MLflow's store. Defaults to MLFLOW_TRACKING_URI, or else a SQLite file beside the run folder."""
    experiment: str | None = Field(None, min_length=1)
    """Name of the MLflow experiment. Defaults to that of MLFLOW_RUN_ID, MLFLOW_EXPERIMENT_ID or
    MLFLOW_EXPERIMENT_NAME, whichever is set first in this order, or else to 'raynas'."""


class TrainTrackingConfig(TrackingConfig):
    """Where a final training is written, and under which name its network is registered."""

    registered_model: str | None = None
    """Name in MLflow's model registry. Defaults to 'raynas-' and the published cell's name or the arch_id."""

    @field_validator("registered_model")
    @classmethod
    def _fits_mlflow(cls, name: str | None) -> str | None:
        if name is None:
            return None
        if name.strip(" .") and not name.startswith("..") and not set(name) & set(FORBIDDEN_IN_MODEL_NAMES):
            return name
        raise ValueError(
            "the name of a registered model is not empty, contains neither '/' nor ':' and does not begin "
            "with '..'. Give another"
        )
