"""MLflow tracking: a parent run per search, a nested run per child, trainings and their registered networks.

MLflow is a view of a run and the journal is its record. MLflow may be switched off, unreachable or late; the
next resume, or `raynas sync`, adds what it lacks from the journal.

No other package imports mlflow. May import run, detection and what is below them. Nothing is re-exported
here: the settings below must be applied before any module imports mlflow, and the modules that don't need
mlflow stay fast to import.
"""

from __future__ import annotations

# MLflow reads these settings during its import.
import raynas.tracking.settings  # noqa: F401
