"""What is set about MLflow. Pure Python: raynas.tracking itself imports mlflow."""

from __future__ import annotations

from pydantic import Field, field_validator

from raynas.config import FrozenModel

TRACKER_SECONDS = 60.0
"""In which MLflow is to take what it has not got yet when a run ends."""
INTERRUPTED_TRACKER_SECONDS = 5.0
"""And when it is interrupted; `raynas sync` or a resume writes what is left of a search."""
FORBIDDEN = "/:"
"""In the name of a registered model; MLflow's rule."""


class TrackingConfig(FrozenModel):
    """Where MLflow is written."""

    enabled: bool = True
    """false: the journal alone."""
    uri: str | None = None
    """None: MLFLOW_TRACKING_URI, or else a SQLite file beside the run folders."""
    experiment: str = Field("raynas", min_length=1)
    """MLflow's experiment."""


class TrainTrackingConfig(TrackingConfig):
    """Where a final training is written, and what its network is registered as."""

    registered_model: str | None = None
    """In MLflow's model registry; None: 'raynas-' and the published cell's name, or the arch_id."""

    @field_validator("registered_model")
    @classmethod
    def _fits_mlflow(cls, name: str | None) -> str | None:
        if name is None or (
            name.strip(" .") and not name.startswith("..") and not set(name) & set(FORBIDDEN)
        ):
            return name
        raise ValueError(
            "a registered model's name has neither '/' nor ':' and does not begin with '..'. Give another"
        )
