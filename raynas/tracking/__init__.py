"""The MLflow view: a parent run per search, a nested one per child; trainings and their registered networks.

The only package that imports mlflow.

A view, not the record: it may be lost, switched off or late, and the journal fills it in at the next resume,
or by `raynas sync`.
"""

from __future__ import annotations

# First, and before mlflow is imported anywhere below: it reads these settings while it is imported.
import raynas.tracking.settings  # noqa: F401
from raynas.tracking.backlog import Backlog
from raynas.tracking.registry import Registered
from raynas.tracking.store import check_store
from raynas.tracking.tracker import Tracker
from raynas.tracking.training import TrainingTracker

__all__ = ["Backlog", "Registered", "Tracker", "TrainingTracker", "check_store"]
