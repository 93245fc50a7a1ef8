"""Trained networks in MLflow's model registry, as files without pickle.

A network becomes a LoggedModel of its training's MLflow run, with the files of its model folder, and a
version of the registered model points to it. Every step first looks for the result of an earlier try, so that
all of them can be repeated after an outage.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, Metric, RunInfo
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from raynas.models.folder import INFO_FILE, WEIGHTS_FILE
from raynas.tracking.described_model import DescribedModel, describe


@dataclass(frozen=True, slots=True)
class Registered:
    """The versions of a registered model that a training created."""

    name: str
    versions: dict[str, int]
    """Version by alias; 'best' and 'last' have the same one if the last epoch is the best."""

    def __str__(self) -> str:
        """'NAME, version 1 (best), version 2 (last)'."""
        aliases: dict[int, list[str]] = {}
        for alias, version in self.versions.items():
            aliases.setdefault(version, []).append(alias)
        return ", ".join([self.name, *(f"version {v} ({', '.join(names)})" for v, names in aliases.items())])


def register(client: MlflowClient, run: RunInfo, name: str, models: Mapping[str, Path]) -> Registered:
    """Makes the networks versions of the registered model `name`; existing versions stay as they are.

    Args:
        run: the training's MLflow run.
        models: model folders by alias; two folders of the same epoch become one version.
    """
    _make_registered_model(client, name)
    versions = {}
    for alias, folder in models.items():
        version = _version(client, run, name, folder)
        _move_alias(client, name, alias, version)
        versions[alias] = version
    return Registered(name, versions)


def _make_registered_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        # Asking first would leave a gap in which another training could make it.
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _version(client: MlflowClient, run: RunInfo, name: str, folder: Path) -> int:
    """Number of the network's version, which an earlier try may have created."""
    described = describe(folder)
    model = _logged_model(client, run, described, folder)
    # A version is known by its run and epoch, not by the alias: 'best' and 'last' may be the same epoch.
    found = client.search_model_versions(f"run_id = '{run.run_id}'")
    version = next(
        (v for v in found if v.name == name and v.tags.get("epoch") == described.tags["epoch"]), None
    )
    if version is None:
        version = client.create_model_version(
            name,
            # The source is not 'models:/ID': a SQL store would look that up at MLflow's global URI, which may
            # be another store.
            model.artifact_location,
            run.run_id,
            tags=described.tags,
            description=described.text,
            await_creation_for=0,
            model_id=model.model_id,
        )
    _link(client, model, version)
    return int(version.version)


def _link(client: MlflowClient, model: LoggedModel, version: ModelVersion) -> None:
    """Adds the version to the model's tag that MLflow's UI reads; a SQL store doesn't do so."""
    links = json.loads(client.get_logged_model(model.model_id).tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    link = {"name": version.name, "version": version.version}
    if (link["name"], str(link["version"])) not in [(old["name"], str(old["version"])) for old in links]:
        client.set_logged_model_tags(model.model_id, {MLFLOW_MODEL_VERSIONS: json.dumps([*links, link])})


def _move_alias(client: MlflowClient, name: str, alias: str, version: int) -> None:
    """Lets the alias point to the version, unless it points to a newer one."""
    # An old training that is resumed must not take the alias from a newer one.
    if int(client.get_registered_model(name).aliases.get(alias, 0)) < version:
        client.set_registered_model_alias(name, alias, str(version))


def _logged_model(client: MlflowClient, run: RunInfo, described: DescribedModel, folder: Path) -> LoggedModel:
    """The network's LoggedModel with its files, created unless an earlier try has completed it."""
    epoch = described.tags["epoch"]
    model_name = f"{described.genotype.arch_id}-epoch-{epoch}"
    found = client.search_logged_models([run.experiment_id], f"source_run_id = '{run.run_id}'")
    model = next((model for model in found if model.name == model_name), None)
    if model is None:
        model = client.create_logged_model(
            run.experiment_id,
            model_name,
            run.run_id,
            params=dict(described.tags),
            model_type=described.model_type,
        )
    # The status is set last, so that a model which is READY is complete.
    if str(model.status) == "READY":
        return model
    _upload(client, run, model, described, folder)
    outputs = client.get_run(run.run_id).outputs
    if outputs is None or model.model_id not in [output.model_id for output in outputs.model_outputs]:
        output = LoggedModelOutput(model.model_id, step=int(epoch))
        client.log_outputs(run.run_id, [output])
    client.log_batch(run.run_id, metrics=_scores(client, run, model, described))
    return client.finalize_logged_model(model.model_id, "READY")


def _scores(
    client: MlflowClient, run: RunInfo, model: LoggedModel, described: DescribedModel
) -> list[Metric]:
    """The points of the run's curves at the model's epoch, with the model's ID.

    The run keeps one copy of a point that is written twice; this second time it becomes the model's too.
    """
    history = [point for key in described.scores for point in client.get_metric_history(run.run_id, key)]
    return [
        Metric(point.key, point.value, point.timestamp, point.step, model_id=model.model_id)
        for point in history
        if point.step == int(described.tags["epoch"])
    ]


def _upload(
    client: MlflowClient, run: RunInfo, model: LoggedModel, described: DescribedModel, folder: Path
) -> None:
    for name in (WEIGHTS_FILE, INFO_FILE):
        client.log_model_artifact(model.model_id, str(folder / name))
    # Imported late, as in child_page.
    from raynas.cells.draw import genotype_svg

    with tempfile.TemporaryDirectory(prefix="raynas-") as upload:
        Path(upload, f"{WEIGHTS_FILE}.md").write_text(described.card, encoding="utf-8")
        picture = genotype_svg(described.genotype, title=described.genotype.arch_id)
        Path(upload, f"{WEIGHTS_FILE}.svg").write_text(picture, encoding="utf-8")
        _mlflow_model(run, model, described).save(str(Path(upload, "MLmodel")))
        client.log_model_artifacts(model.model_id, upload)


def _mlflow_model(run: RunInfo, model: LoggedModel, described: DescribedModel) -> Any:
    """The MLmodel file: a module of raynas loads the network from the files beside it."""
    mlflow_model = Model(
        artifact_path=model.artifact_location,
        run_id=run.run_id,
        model_id=model.model_id,
        model_uuid=model.model_id,
        signature=described.signature,
    )
    mlflow.pyfunc.add_to_model(mlflow_model, loader_module=described.loader)
    return mlflow_model
