"""A final training in MLflow: one run with its settings and curves, and its network in the model registry."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from raynas.cells.genotype import Genotype
from raynas.config import flattened, scrubbed, without_credentials
from raynas.errors import UsageError
from raynas.run.events import Origin
from raynas.tracking.child_page import ARCH_ID, KIND, RUN_ID, metric, param
from raynas.tracking.model_registry import Registered, register
from raynas.tracking.runs import first_run, origin_tags, write_texts
from raynas.tracking.store import connect, experiment_id, is_outage, reason, resolved_uri, unusable
from raynas.tracking.writer import Writer

logger = logging.getLogger("raynas.tracking")

UPLOAD_BYTES_PER_SECOND = 10e6
"""A store that takes networks slower than this, and than a minute in all, is not waited for."""


class TrainingTracker:
    """Writes each epoch once, also when a training is resumed. What it hears is queued; nobody waits for it.

    Attributes:
        uri: of the store, fit to be printed: without credentials.
        mlflow_run_id: of the run.
        registered: what `register` has made; known after `close`.
    """

    registered: Registered | None = None

    def __init__(self, client: MlflowClient, run: Run, *, uri: str) -> None:
        self.uri, self.mlflow_run_id = without_credentials(uri), str(run.info.run_id)
        self._client, self._run = client, run
        self._last_epoch = int(run.data.metrics.get("epoch", 0))
        self._has_warned = False
        self._models: dict[str, Path] = {}
        self._last_error: Exception | None = None
        self._writer = Writer(is_outage=is_outage, on_failure=self._warn_once)

    @classmethod
    def open(
        cls,
        uri: str | None,
        *,
        experiment: str,
        run_name: str,
        run_id: str,
        config: Mapping[str, Any],
        default_store: Path,
        arch_id: str,
        origin: Origin | None = None,
    ) -> TrainingTracker:
        """The run of the training `run_id`, new or resumed; arguments and errors as of Tracker.open."""
        resolved = resolved_uri(uri, default_store)
        client = connect(resolved)
        try:
            number = experiment_id(client, experiment, resolved)
            run = first_run(client, number, f"tags.`{RUN_ID}` = '{run_id}' and tags.`{KIND}` = 'training'")
            if run is None:
                tags = {KIND: "training", RUN_ID: run_id, ARCH_ID: arch_id}
                tags |= origin_tags(client, number, origin, "raynas.trained_from")
                run = client.create_run(number, run_name=run_name, tags=tags)
            client.update_run(run.info.run_id, status="RUNNING")
            settings = flattened({k: v for k, v in scrubbed(config).items() if k != "genotype"})
            params = [param(key, value) for key, value in settings.items() if key not in run.data.params]
            client.log_batch(run.info.run_id, params=params)
        except UsageError:
            raise
        except Exception as error:
            raise unusable(resolved, error) from None
        return cls(client, run, uri=resolved)

    def epoch_done(self, epoch: int, values: Mapping[str, float]) -> None:
        if epoch <= self._last_epoch:
            return
        now = time.time()
        points = [metric(key, value, step=epoch, time=now) for key, value in values.items()]
        points.append(metric("epoch", epoch, step=epoch, time=now))
        self._writer.put(partial(self._client.log_batch, self.mlflow_run_id, metrics=points))
        self._last_epoch = epoch

    def model_written(self, description: str, genotype: Genotype) -> None:
        """Keeps what describes the network; its weights stay in the training's folder."""
        from raynas.cells.draw import genotype_svg

        texts = {"model.json": description, "cell.svg": genotype_svg(genotype, title=genotype.arch_id)}
        self._writer.put(partial(write_texts, self._client, self._run.info, texts))

    def register(self, name: str, models: Mapping[str, Path]) -> None:
        """Makes trained networks versions of the registered model `name`, once however often it is asked.

        Args:
            models: model folders by alias, 'best' and 'last'; they stay as they are until `close` is done.
        """
        self._models, self._last_error = dict(models), None
        self._writer.put(partial(self._register, name))

    def close(self, status: str, *, timeout: float = 60.0) -> None:
        """Writes what is queued, for about `timeout` seconds and the time of an upload, and ends the run."""
        num_bytes = sum(path.stat().st_size for folder in self._models.values() for path in folder.iterdir())
        last = partial(self._client.set_terminated, self.mlflow_run_id, status)
        self._writer.close(last, timeout=timeout + num_bytes / UPLOAD_BYTES_PER_SECOND)
        if self._models and self.registered is None:
            logger.warning(
                "The model was not registered in MLflow at %s (%s). It is in %s; --resume tries again.",
                self.uri,
                reason(self._last_error) if self._last_error else "it took too long",
                " and ".join(str(folder) for folder in self._models.values()),
            )

    def _register(self, name: str) -> None:
        self.registered = register(self._client, self._run.info, name, self._models)

    def _warn_once(self, error: Exception) -> None:
        self._last_error = error
        # Once the training is over, `close` tells what came of its network.
        is_told_at_the_end = self._models and self.registered is None
        if not self._has_warned and not is_told_at_the_end:
            self._has_warned = True
            logger.warning(
                "MLflow can't be written at %s (%s). The training goes on; it is tried again.",
                self.uri,
                reason(error),
            )
