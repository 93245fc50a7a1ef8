"""A final training in MLflow: one run with its settings and curves, and its network in the model registry."""

from __future__ import annotations

import io
import logging
import shlex
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Run
from mlflow.utils.validation import MAX_METRICS_PER_BATCH
from PIL import Image

from raynas.cells.genotype import Genotype
from raynas.config import without_credentials
from raynas.tracking.child_page import ARCH_ID_TAG, metric
from raynas.tracking.model_registry import Registered, register
from raynas.tracking.run_page import RunPage, open_mlflow_run, write_artifacts
from raynas.tracking.store import error_text, is_outage, store_errors
from raynas.tracking.writer import BackgroundWriter

logger = logging.getLogger("raynas.tracking")

UPLOAD_BYTES_PER_SECOND = 10e6
"""Slowest upload that is waited for at the end, beside the timeout."""
MAX_NAME = 200
"""Characters that are left of a curve's name when a number is added; MLflow allows 250 in all."""


class TrainingTracker:
    """Writes each epoch once, also when a training is resumed. Its methods queue; a thread does the writing.

    Attributes:
        uri: the store's URI without credentials.
        mlflow_run_id: ID of the MLflow run.
        registered: what `register` made; None until `close` has returned, and if it failed.
    """

    registered: Registered | None = None

    def __init__(
        self, client: MlflowClient, run: Run, *, page: RunPage, epochs: set[int], command: str
    ) -> None:
        self.uri = without_credentials(page.uri)
        self._folder = page.folder
        self.mlflow_run_id = str(run.info.run_id)
        self._client = client
        self._run = run
        self._known_epochs = epochs
        self._command = command
        self._unwritten_epochs: set[int] = set()
        self._has_warned = False
        self._models: dict[str, Path] = {}
        self._last_error: Exception | None = None
        self._writer = BackgroundWriter(is_outage=is_outage, on_failure=self._warn_once)

    @classmethod
    def open(cls, page: RunPage, *, arch_id: str, command: str = "raynas train") -> TrainingTracker:
        """The tracker of a training, new or resumed.

        Args:
            arch_id: the trained architecture's, or a network's name; becomes a tag.
            command: the command that trains so, for messages.
        Raises:
            UsageError: the store can't be used; the message names the URI, what went wrong and what to do.
        """
        # No genotype among the params: its parts would fill the page, and `model_written` stores it whole.
        params = {key: value for key, value in page.config.items() if key != "genotype"}
        opened = open_mlflow_run(replace(page, config=params), tags={ARCH_ID_TAG: arch_id})
        with store_errors(page.uri):
            opened.client.update_run(opened.run.info.run_id, status="RUNNING")
            # Not only the last one: after an outage, earlier epochs may be missing.
            has_epochs = "epoch" in opened.run.data.metrics
            run_id = opened.run.info.run_id
            history = opened.client.get_metric_history(run_id, "epoch") if has_epochs else []
        epochs = {point.step for point in history}
        return cls(opened.client, opened.run, page=page, epochs=epochs, command=command)

    def epoch_done(
        self, epoch: int, values: Mapping[str, float], *, images: Mapping[str, bytes] | None = None
    ) -> None:
        """Adds one point to each curve, unless an earlier driver has written this epoch.

        Args:
            images: PNG files by name, which MLflow shows as a series of images over the epochs.
        """
        if epoch in self._known_epochs:
            return
        self._known_epochs.add(epoch)
        self._unwritten_epochs.add(epoch)
        now = time.time()
        points = _points(values, step=epoch, time=now)
        # A curve of the epochs themselves, by which `open` finds out which of them are written.
        points.append(metric("epoch", epoch, step=epoch, time=now))
        self._writer.put(partial(self._write_epoch, epoch, points))
        for name, content in (images or {}).items():
            self._writer.put(partial(self._write_image, epoch, name, content))

    def model_written(self, description: str, genotype: Genotype | None) -> None:
        """Stores model.json and a drawing of the cells, if there are; the weights stay in the folder."""
        from raynas.cells.draw import genotype_svg

        texts = {"model.json": description}
        if genotype is not None:
            texts["cell.svg"] = genotype_svg(genotype, title=genotype.arch_id)
        self._writer.put(partial(write_artifacts, self._client, self._run.info, texts))

    def register(self, name: str, models: Mapping[str, Path]) -> None:
        """Makes trained networks versions of the registered model `name`; repeating it adds nothing.

        Args:
            models: model folders by alias, 'best' and 'last'; they must stay as they are until `close` has
                returned.
        """
        self._models = dict(models)
        self._last_error = None
        self._writer.put(partial(self._register, name))

    def close(self, status: str, *, timeout: float = 60.0) -> None:
        """Writes what is queued, for about `timeout` seconds and the time of an upload, and ends the run.

        Args:
            status: in MLflow: FINISHED, KILLED or FAILED.
        """
        # The networks may take longer to upload than everything else, so the time to wait depends on their
        # size.
        num_bytes = sum(path.stat().st_size for folder in self._models.values() for path in folder.iterdir())
        last = partial(self._client.set_terminated, self.mlflow_run_id, status)
        self._writer.close(last, timeout=timeout + num_bytes / UPLOAD_BYTES_PER_SECOND)
        if self._models and self.registered is None:
            logger.warning(
                "The model was not registered in MLflow at %s (%s). It is in %s; resuming the training "
                "registers it.",
                self.uri,
                error_text(self._last_error) if self._last_error else "it took too long",
                " and ".join(str(folder) for folder in self._models.values()),
            )

        if self._unwritten_epochs:
            logger.warning(
                "MLflow at %s lacks %s of the epochs. The training's folder holds them; once MLflow answers, "
                "this adds what is missing:\n  %s --out %s --resume",
                self.uri,
                f"{len(self._unwritten_epochs):,}",
                self._command,
                shlex.quote(str(self._folder)),
            )

    def _write_epoch(self, epoch: int, points: list[Metric]) -> None:
        # In MLflow's portions: a detector may have more classes than one takes.
        for start in range(0, len(points), MAX_METRICS_PER_BATCH):
            portion = points[start : start + MAX_METRICS_PER_BATCH]
            self._client.log_batch(self.mlflow_run_id, metrics=portion)
        self._unwritten_epochs.discard(epoch)

    def _write_image(self, epoch: int, name: str, content: bytes) -> None:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            self._client.log_image(self.mlflow_run_id, image, key=name, step=epoch, synchronous=True)

    def _register(self, name: str) -> None:
        self.registered = register(self._client, self._run.info, name, self._models)

    def _warn_once(self, error: Exception) -> None:
        self._last_error = error
        # Once the training is over, `close` warns if its network could not be registered.
        is_reported_by_close = self._models and self.registered is None
        if not self._has_warned and not is_reported_by_close:
            self._has_warned = True
            logger.warning(
                "MLflow can't be written at %s (%s). The training continues and the writes are tried again.",
                self.uri,
                error_text(error),
            )


def _points(values: Mapping[str, float], *, step: int, time: float) -> list[Metric]:
    """A point of each curve. Names that MLflow can't tell apart, such as those of classes, get numbers."""
    points: dict[str, Metric] = {}
    for key, value in values.items():
        point, count = metric(key, value, step=step, time=time), 1
        while point.key in points:
            count += 1
            point = metric(f"{key[:MAX_NAME]}_{count}", value, step=step, time=time)
        points[point.key] = point
    return list(points.values())
