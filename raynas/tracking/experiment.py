"""Which experiment a new MLflow run belongs to, and which run is used if the environment names one.

The first of these decides: tracking.experiment, MLFLOW_RUN_ID (that run and its experiment),
MLFLOW_EXPERIMENT_ID, MLFLOW_EXPERIMENT_NAME, the experiment 'raynas'.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException

from raynas.config import without_credentials
from raynas.errors import UsageError
from raynas.tracking.store import (
    URI_VARIABLE,
    artifact_location,
    connect,
    is_outage,
    resolved_uri,
    store_errors,
)

RUN_VARIABLE = "MLFLOW_RUN_ID"
ID_VARIABLE = "MLFLOW_EXPERIMENT_ID"
NAME_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
DEFAULT_EXPERIMENT = "raynas"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a new MLflow run belongs."""

    experiment: str
    """The experiment's ID."""
    run: Run | None = None
    """The run that MLFLOW_RUN_ID names, if it is respected."""


def check_store(uri: str | None, default_store: Path, experiment: str | None = None) -> str:
    """The URI that a search would write to, without credentials. Creates a missing SQLite file.

    Args:
        experiment: tracking.experiment.
    Raises:
        UsageError: the store, or a variable of the environment, can't be used; the message names it, what
            went wrong and what to do.
    """
    resolved = resolved_uri(uri, default_store)
    client = connect(resolved)
    with store_errors(resolved):
        # Only looks: an experiment is created when a run begins.
        _existing_target(client, experiment, resolved)
    return without_credentials(resolved)


def find_target(client: MlflowClient, experiment: str | None, uri: str) -> Target:
    """Where a new MLflow run belongs; an experiment that is given by its name is created if needed.

    Args:
        experiment: tracking.experiment; the environment is respected only if it is None.
    Raises:
        UsageError: a variable names what isn't there, or the experiment or the run was deleted.
    """
    target = _existing_target(client, experiment, uri)
    return target or Target(_created(client, _name(experiment), uri))


def every_experiment(client: MlflowClient) -> list[str]:
    """IDs of all experiments that were not deleted."""
    found = client.search_experiments()
    experiments = list(found)
    while found.token:
        found = client.search_experiments(page_token=found.token)
        experiments += found
    return [str(experiment.experiment_id) for experiment in experiments]


def _existing_target(client: MlflowClient, experiment: str | None, uri: str) -> Target | None:
    """None means that the experiment has yet to be created."""
    if experiment is None and (run_id := _variable(RUN_VARIABLE)):
        return _target_of_run(client, run_id, uri)
    found: Experiment | None
    if experiment is None and (number := _variable(ID_VARIABLE)):
        found = _asked(client.get_experiment, ID_VARIABLE, number, "experiment", uri)
    else:
        found = client.get_experiment_by_name(_name(experiment))
    return None if found is None else Target(_active(found, uri))


def _target_of_run(client: MlflowClient, run_id: str, uri: str) -> Target:
    run = _asked(client.get_run, RUN_VARIABLE, run_id, "run", uri)
    if run.info.lifecycle_stage != "active":
        raise UsageError(
            f"The MLflow run that {RUN_VARIABLE} = {run_id!r} names was deleted at "
            f"{without_credentials(uri)}. Restore it (mlflow runs restore --run-id {run_id}) or unset the "
            "variable."
        )
    return Target(_active(client.get_experiment(run.info.experiment_id), uri), run)


def _asked(ask: Callable[[str], T], variable: str, value: str, what: str, uri: str) -> T:
    """What a variable names; UsageError if the store doesn't have it."""
    try:
        return ask(value)
    except MlflowException as error:
        # A store that doesn't answer says nothing about the variable.
        if is_outage(error):
            raise
    raise UsageError(
        f"{variable} = {value!r} names no MLflow {what} at {without_credentials(uri)}. Correct or unset it, "
        f"name the store that has it in {URI_VARIABLE} (or tracking.uri), or set tracking.experiment, which "
        "goes before the environment."
    )


def _active(experiment: Experiment, uri: str) -> str:
    """The experiment's ID; UsageError if it was deleted."""
    if experiment.lifecycle_stage != "active":
        raise UsageError(
            f"The MLflow experiment {experiment.name!r} at {without_credentials(uri)} was deleted. "
            f"Restore it (mlflow experiments restore -x {experiment.experiment_id}) or set "
            f"tracking.experiment, or {NAME_VARIABLE}, to another name."
        )
    return str(experiment.experiment_id)


def _created(client: MlflowClient, name: str, uri: str) -> str:
    try:
        return str(client.create_experiment(name, artifact_location=artifact_location(uri)))
    except MlflowException:
        # Another search may have created it in between.
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            raise
        return _active(experiment, uri)


def _name(experiment: str | None) -> str:
    return experiment or _variable(NAME_VARIABLE) or DEFAULT_EXPERIMENT


def _variable(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None
