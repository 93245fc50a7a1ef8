"""The MLflow view: a parent run per search, a nested one per child; trainings and their registered networks.

The only package that imports mlflow. Nothing is re-exported: its settings below must be applied before any
module of it imports mlflow, and those that don't import it stay light.

A view, not the record: it may be lost, switched off or late, and the journal fills it in at the next resume,
or by `raynas sync`.
"""

from __future__ import annotations

# MLflow reads these settings while it is imported.
import raynas.tracking.settings  # noqa: F401
