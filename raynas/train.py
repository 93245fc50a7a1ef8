"""The program of final training: from its config to a model folder, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from raynas.config import merged, validated
from raynas.engine.cluster import connected
from raynas.engine.final import train_on_cluster
from raynas.engine.final_plan import plan_training
from raynas.errors import RunFolderError
from raynas.files import drop_torn_line, replace_file
from raynas.genotype import Genotype
from raynas.model_folder import INFO_FILE
from raynas.run_folder import default_store
from raynas.tracking import Registered, TrainingTracker, check_store
from raynas.tracking_config import INTERRUPTED_TRACKER_SECONDS, TRACKER_SECONDS, Origin
from raynas.train_config import TrainConfig
from raynas.train_models import registered_name, save_models
from raynas.train_recipes import train_config
from raynas.train_setup import PreparedTraining, build_training, find_data
from raynas.training.final import micro_batch
from raynas.training.final_config import EpochSummary

CONFIG_FILE, CURVE_FILE = "training.json", "curve.jsonl"


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves behind."""

    folder: Path
    model: Path
    """The last epoch's network, for raynas.model_folder.load_model and `raynas export`."""
    best: Path
    """The network of the epoch with the highest top-1."""
    summaries: list[EpochSummary]
    registered: Registered | None
    """In MLflow's registry; None: MLflow is switched off or away."""


def prepare_training(
    genotype: Genotype | None,
    *,
    cell: str,
    origin: Origin | None = None,
    recipe: str = "cifar_final",
    out: Path,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> PreparedTraining:
    """The validated config and the data of a training.

    Args:
        genotype, cell: what is trained, and what it is called; None to resume.
        origin: the run that the genotype is from; None: from none.
        resume: go on with the training in `out`: with its own config; `settings` may change its workers.
    Raises:
        UsageError: something given can't be used; nothing was started or overwritten.
    """
    if resume:
        config = _resumed(out, settings or {})
    else:
        if (out / CONFIG_FILE).exists():
            raise RunFolderError(
                f"{out} holds a training already. Add --resume to go on with it, or give another --out."
            )
        assert genotype is not None
        words = {"cell": cell, "genotype": genotype.to_dict(), "origin": origin}
        config = train_config(recipe, merged(settings or {}, words))
    prepared = PreparedTraining(out, config, find_data(config.data, seed=config.seed))
    prepared.complexity()
    return prepared


def train_final(
    training: PreparedTraining,
    *,
    address: str | None = None,
    report: Callable[[EpochSummary], None] = lambda _: None,
) -> TrainResult:
    """Runs a prepared training to its end.

    Args:
        address: of a Ray cluster; None takes RAY_ADDRESS, or starts Ray on this machine.
        report: called after each epoch.
    Raises:
        UsageError: the data or the cluster can't be used as asked.
        TrainingFailed: it diverged, or its workers could not be kept.
    """
    config, folder = training.config, training.folder
    summaries = read_curve(folder)

    workers = config.workers
    if config.tracking.enabled:
        # Before Ray is started: a server that is away is the user's to mend.
        check_store(config.tracking.uri, default_store(folder))
    with connected(address):
        plan = plan_training(workers.count, workers.cpus, workers.gpus, at_least=workers.at_least)
        if workers.at_least is None:
            # Before the workers are started, which ask the same.
            micro_batch(config.training, plan.num_workers)
        folder.mkdir(parents=True, exist_ok=True)
        text = config.model_dump_json(indent=1) + "\n"
        replace_file(folder / CONFIG_FILE, lambda path: path.write_text(text))
        with _tracked(training) as tracker:

            def heard(summary: EpochSummary) -> None:
                _keep(summary, summaries, folder, tracker)
                report(summary)

            states = train_on_cluster(
                functools.partial(build_training, folder=folder, config=config),
                training.data,
                plan=plan,
                folder=folder,
                max_failures=workers.max_failures,
                report=heard,
            )
            models = save_models(training, states, summaries)
            if tracker is not None:
                genotype = Genotype.from_dict(config.genotype)
                tracker.model_written((models["last"] / INFO_FILE).read_text(), genotype)
                tracker.register(registered_name(config), models)
    # It is known when the tracker is closed.
    registered = tracker.registered if tracker is not None else None
    return TrainResult(folder, models["last"], models["best"], summaries, registered)


@contextlib.contextmanager
def _tracked(training: PreparedTraining) -> Iterator[TrainingTracker | None]:
    """MLflow's run, which ends with the block, whatever happens; None if it is switched off."""
    config = training.config
    if not config.tracking.enabled:
        yield None
        return
    tracker = TrainingTracker.open(
        config.tracking.uri,
        experiment=config.tracking.experiment,
        run_name=training.folder.name,
        run_id=config.run_id,
        config=config.model_dump(mode="json"),
        default_store=default_store(training.folder),
        arch_id=Genotype.from_dict(config.genotype).arch_id,
        origin=config.origin,
    )
    status, patience = "FAILED", TRACKER_SECONDS
    try:
        yield tracker
        status = "FINISHED"
    except KeyboardInterrupt:
        status, patience = "KILLED", INTERRUPTED_TRACKER_SECONDS
        raise
    finally:
        tracker.close(status, timeout=patience)


def _keep(
    summary: EpochSummary, summaries: list[EpochSummary], folder: Path, tracker: TrainingTracker | None
) -> None:
    """An epoch that is new goes into the curve's file and to MLflow."""
    if summaries and summary.epoch <= summaries[-1].epoch:
        return
    with (folder / CURVE_FILE).open("a") as file:
        file.write(summary.model_dump_json() + "\n")
    summaries.append(summary)
    if tracker is not None:
        tracker.epoch_done(summary.epoch, summary.model_dump(exclude={"epoch"}))


def _resumed(folder: Path, settings: Mapping[str, Any]) -> TrainConfig:
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise RunFolderError(f"There is no training to resume: {path} does not exist.")
    try:
        recorded = json.loads(path.read_text())
    except ValueError as error:
        raise RunFolderError(f"{path} can't be read as JSON: {error}.") from error
    before = validated(TrainConfig, recorded)
    after = validated(TrainConfig, merged(recorded, settings))
    unchanged = {"workers": before.workers, "tracking": before.tracking, "run_id": before.run_id}
    if after.model_copy(update=unchanged) != before:
        raise RunFolderError(
            f"The training in {folder} was started with other settings. Resumed, it can have other workers.* "
            "and tracking.* alone. Leave the rest out, or start a new one with another --out."
        )
    return after


def read_curve(folder: Path) -> list[EpochSummary]:
    """The epochs that were told before, without a line that was torn by a crash."""
    path = folder / CURVE_FILE
    if not path.is_file():
        return []
    drop_torn_line(path)
    try:
        return [EpochSummary.model_validate_json(line) for line in path.read_bytes().splitlines()]
    except ValidationError as error:
        raise RunFolderError(
            f"{path} is damaged: {error.errors()[0]['msg']}. Correct or remove it; the checkpoints are apart."
        ) from None
