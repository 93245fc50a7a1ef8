"""The MLflow run of a search, a promotion or a final training, as it is opened."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Run, RunInfo, RunTag
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

from raynas.config import flattened, scrubbed
from raynas.files import is_same_file
from raynas.run.events import Origin
from raynas.run.folder import default_store, holds_run
from raynas.tracking.child_page import CHILD_TAG, KIND_TAG, RUN_ID_TAG, milliseconds, param
from raynas.tracking.config import TrackingConfig
from raynas.tracking.experiment import every_experiment, find_target
from raynas.tracking.moved_store import FOLDER_TAG
from raynas.tracking.store import connect, resolved_uri, store_errors

PARENT_TAG = "mlflow.parentRunId"
"""MLflow's own tag: its UI shows a run nested in the one that is named here."""
DESCRIPTION_TAG = "mlflow.note.content"
"""MLflow's own tag: the description on top of a run's page, in Markdown."""
MAX_DATA_NAME, MAX_DIGEST = 500, 36
"""Characters that MLflow takes of a data set's name and digest."""
MAX_COPIES = 100
"""Number of copies of one run's folder among which the MLflow run of a folder is looked for."""
ORIGIN_TAGS = {"search": "raynas.promoted_from", "training": "raynas.trained_from"}
"""Name, by kind, of the tag that holds the raynas ID of the origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """What MLflow shows of a run or a training from its start on."""

    kind: Literal["search", "training"]
    """'search' includes promotions."""
    run_id: str
    """raynas's own ID, by which the MLflow run is found again."""
    folder: Path
    """Folder of the run or training. The MLflow run has its name; the default store lies beside it."""
    tracking: TrackingConfig
    config: Mapping[str, Any]
    """Becomes the params; credentials in its URIs are left out."""
    origin: Origin | None = None
    """The run that the cells were taken from, or the training that the weights were; a new MLflow run is
    nested in its MLflow run.
    """
    start_time: float | None = None
    """Seconds since 1970; defaults to now."""

    @property
    def uri(self) -> str:
        """URI of the store, with its credentials."""
        return resolved_uri(self.tracking.uri, default_store(self.folder))


@dataclass(frozen=True, slots=True)
class ShownData:
    """A data set as MLflow shows it."""

    source: str
    """Where it is; without credentials."""
    digest: str


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """An MLflow run that can be written."""

    client: MlflowClient
    run: Run
    """The run as it was found or created: what it holds here was written by earlier drivers."""
    is_new: bool
    """Whether it was created just now."""


def open_mlflow_run(
    page: RunPage, *, tags: Mapping[str, str] | None = None, texts: Mapping[str, str] | None = None
) -> OpenedRun:
    """The MLflow run of a page, found or created.

    An existing one keeps what it has, and gets missing params and the folder in which its run lies now.

    Args:
        tags: further tags of a new one.
        texts: artifacts, content by file name, that are written where params are missing.
    Raises:
        UsageError: the store can't be used; the message names the URI, what went wrong and what to do.
    """
    client = connect(page.uri)
    with store_errors(page.uri):
        run = _earlier_run(client, page)
        is_new = run is None
        if run is None:
            run = _start(client, page, tags or {})
        elif not is_same_file(Path(run.data.tags.get(FOLDER_TAG, "")), page.folder.absolute()):
            client.set_tag(run.info.run_id, FOLDER_TAG, str(page.folder.absolute()))
        params = [param(key, value) for key, value in flattened(scrubbed(page.config)).items()]
        # MLflow refuses another value for a param that is there, so only new ones are written.
        missing = [new for new in params if new.key not in run.data.params]
        if is_new or missing:
            # Artifacts first: a driver that is killed in between leaves params missing, and the next one
            # writes both again.
            write_artifacts(client, run.info, texts or {})
            client.log_batch(run.info.run_id, params=missing)
    return OpenedRun(client, run, is_new)


def annotate(
    page: RunPage, *, tags: Mapping[str, str], artifacts: Mapping[str, str], data: ShownData | None = None
) -> None:
    """Adds tags, artifacts and a data set to the MLflow run of a page; does nothing if there is none.

    Raises:
        UsageError: the store can't be used.
    """
    client = connect(page.uri)
    with store_errors(page.uri):
        run = _earlier_run(client, page)
        if run is None:
            return
        write_artifacts(client, run.info, artifacts)
        has_data = run.inputs is not None and run.inputs.dataset_inputs
        if data is not None and not has_data:
            source = json.dumps({"path": data.source})
            shown = Dataset(data.source[:MAX_DATA_NAME], data.digest[:MAX_DIGEST], "local", source)
            client.log_inputs(run.info.run_id, datasets=[DatasetInput(shown)])
        if tags:
            new = [RunTag(key, value[:MAX_TAG_VAL_LENGTH]) for key, value in tags.items()]
            client.log_batch(run.info.run_id, tags=new)


def _earlier_run(client: MlflowClient, page: RunPage) -> Run | None:
    """The page's MLflow run as earlier drivers left it; None if there is none.

    The environment may name another experiment today than when the run was begun, so all are searched,
    unless the config names one.
    """
    name = page.tracking.experiment
    experiments = (
        every_experiment(client) if name is None else [find_target(client, name, page.uri).experiment]
    )
    return _of_folder(find_mlflow_runs(client, experiments, page.kind, page.run_id), page)


def _of_folder(runs: Sequence[Run], page: RunPage) -> Run | None:
    """The MLflow run of the page's folder, among all with its raynas ID: a copied folder has its own."""
    own = page.folder.absolute()
    folders = [(run, Path(run.data.tags.get(FOLDER_TAG, own))) for run in runs]
    for run, folder in folders:
        if is_same_file(folder, own):
            return run
    # A folder that holds the run no longer was moved here. One that still does is the original.
    return next((run for run, folder in folders if not holds_run(folder, page.run_id)), None)


def _start(client: MlflowClient, page: RunPage, tags: Mapping[str, str]) -> Run:
    """A new MLflow run, or the one that MLFLOW_RUN_ID names.

    If that one shows another run of raynas already, the new one is nested in it.
    """
    target = find_target(client, page.tracking.experiment, page.uri)
    given = target.run
    origin_tags = _origin_tags(client, target.experiment, page)
    own_tags = {KIND_TAG: page.kind, RUN_ID_TAG: page.run_id, FOLDER_TAG: str(page.folder.absolute())}
    tags = {**own_tags, **origin_tags, **tags}
    # A launcher, such as `mlflow run`, has opened a run for this process: raynas writes into that.
    if given is not None and RUN_ID_TAG not in given.data.tags:
        client.log_batch(given.info.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        client.update_run(given.info.run_id, status="RUNNING")
        return client.get_run(given.info.run_id)
    if given is not None:
        tags = {PARENT_TAG: given.info.run_id, **tags}
    return client.create_run(
        target.experiment,
        run_name=page.folder.name,
        tags=tags,
        start_time=None if page.start_time is None else milliseconds(page.start_time),
    )


def _origin_tags(client: MlflowClient, experiment: str, page: RunPage) -> dict[str, str]:
    """Tags that name the run of origin and, if this experiment has its MLflow run, nest the new one in it."""
    origin = page.origin
    if origin is None:
        return {}
    tags = {ORIGIN_TAGS[page.kind]: origin.run_id}
    if origin.child is not None:
        tags[CHILD_TAG] = str(origin.child)
    sources = [
        run for kind in ORIGIN_TAGS for run in find_mlflow_runs(client, [experiment], kind, origin.run_id)
    ]
    if not sources:
        return tags
    folder = Path(origin.folder)
    is_copy = [is_same_file(Path(run.data.tags.get(FOLDER_TAG, folder)), folder) for run in sources]
    source = sources[is_copy.index(True) if True in is_copy else 0]
    return {PARENT_TAG: source.info.run_id, **tags}


def find_mlflow_runs(client: MlflowClient, experiments: Sequence[str], kind: str, run_id: str) -> list[Run]:
    """The MLflow runs of the search or training with this raynas ID, oldest first.

    There are several if its folder was copied and both copies went on.
    """
    condition = f"tags.`{RUN_ID_TAG}` = '{run_id}' and tags.`{KIND_TAG}` = '{kind}'"
    return _oldest_runs(client, experiments, condition, MAX_COPIES)


def first_run(client: MlflowClient, experiments: Sequence[str], condition: str) -> Run | None:
    """The oldest MLflow run that fulfils a condition in MLflow's search syntax."""
    found = _oldest_runs(client, experiments, condition, 1)
    return found[0] if found else None


def _oldest_runs(client: MlflowClient, experiments: Sequence[str], condition: str, count: int) -> list[Run]:
    order = ["attributes.start_time ASC"]
    return list(client.search_runs(list(experiments), condition, max_results=count, order_by=order))


def write_artifacts(client: MlflowClient, info: RunInfo, artifacts: Mapping[str, str | bytes]) -> None:
    """Writes artifacts, content by path; a text becomes UTF-8."""
    if not artifacts:
        return
    # In a local store, an upload would only copy the files to this folder: write them there at once.
    if urlsplit(info.artifact_uri).scheme in ("", "file"):
        _write_files(Path(local_file_uri_to_path(info.artifact_uri)), artifacts)
        return
    with tempfile.TemporaryDirectory(prefix="raynas-") as upload:
        _write_files(Path(upload), artifacts)
        client.log_artifacts(info.run_id, upload)


def _write_files(folder: Path, artifacts: Mapping[str, str | bytes]) -> None:
    for name, content in artifacts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # A command or the name of a folder may hold bytes that are not valid Unicode.
        path.write_bytes(
            content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
        )
