"""The program of final training: from its config to a model folder, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from raynas.config import merged, validated
from raynas.data import ImageSplit
from raynas.engine.cluster import connected
from raynas.engine.final import plan_training, train_on_cluster
from raynas.errors import RunFolderError
from raynas.files import drop_torn_line, replace_file
from raynas.genotype import Genotype
from raynas.model_folder import INFO_FILE, ModelInfo, save_model
from raynas.nn import Network
from raynas.tracking import TrainingTracker, check_store
from raynas.train_config import TrainConfig
from raynas.train_recipes import train_config
from raynas.train_setup import PreparedTraining, build_training, find_data, make_network
from raynas.training.final import micro_batch
from raynas.training.final_config import EpochSummary
from raynas.training.stream_source import IMAGENET_MEAN_C, IMAGENET_STD_C

CONFIG_FILE, CURVE_FILE, MODEL_FOLDER = "training.json", "curve.jsonl", "model"


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves behind."""

    folder: Path
    model: Path
    """For raynas.model_folder.load_model and `raynas export`."""
    summaries: list[EpochSummary]


def prepare_training(
    genotype: Genotype | None,
    *,
    cell: str,
    recipe: str = "cifar_final",
    out: Path,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> PreparedTraining:
    """The validated config and the data of a training.

    Args:
        genotype, cell: what is trained, and what it is called; None to resume.
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
        words = {"cell": cell, "genotype": genotype.to_dict()}
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
        check_store(config.tracking.uri, _default_store(folder))
    with connected(address):
        plan = plan_training(workers.count, workers.cpus, workers.gpus)
        # Before the workers are started, which ask the same.
        micro_batch(config.training, plan.num_workers)
        folder.mkdir(parents=True, exist_ok=True)
        text = config.model_dump_json(indent=1) + "\n"
        replace_file(folder / CONFIG_FILE, lambda path: path.write_text(text))
        with _tracked(training) as tracker:

            def heard(summary: EpochSummary) -> None:
                _keep(summary, summaries, folder, tracker)
                report(summary)

            state = train_on_cluster(
                functools.partial(build_training, folder=folder, config=config),
                training.data,
                plan=plan,
                folder=folder,
                max_failures=workers.max_failures,
                report=heard,
            )
            model = _save_model(training, state, summaries)
            if tracker is not None:
                genotype = Genotype.from_dict(config.genotype)
                tracker.model_written((model / INFO_FILE).read_text(), genotype)
    return TrainResult(folder, model, summaries)


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
        default_store=_default_store(training.folder),
    )
    status = "FAILED"
    try:
        yield tracker
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.close(status)


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


def _default_store(folder: Path) -> Path:
    return folder.parent / "mlflow.db"


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


def _save_model(training: PreparedTraining, state: Mapping[str, Any], summaries: list[EpochSummary]) -> Path:
    """The evaluated network of the last checkpoint, with all that is known of it."""
    network = make_network(training)
    average = state["average"]
    weights = state["network"]
    if average is not None:
        # AveragedModel's own name for the network in it.
        weights = {k.removeprefix("module."): v for k, v in average.items() if k.startswith("module.")}
    network.load_state_dict(weights)
    place = training.folder / MODEL_FOLDER
    save_model(place, network, _info(training, network, summaries))
    return place


def _info(training: PreparedTraining, network: Network, summaries: list[EpochSummary]) -> ModelInfo:
    config, data = training.config, training.data
    pixels: dict[str, Any] = {
        "mean": IMAGENET_MEAN_C,
        "std": IMAGENET_STD_C,
        "crop_fraction": config.data.crop_fraction,
        "interpolation": "bicubic",
    }
    if isinstance(data, ImageSplit):
        pixels = {"mean": tuple(data.mean_C), "std": tuple(data.std_C)}
    known = {
        "cell": config.cell,
        "recipe": config.recipe,
        "data": config.data.source,
        "epochs": config.training.epochs,
        "seed": config.seed,
        "top1": summaries[-1].top1 if summaries else None,
        "top5": summaries[-1].top5 if summaries else None,
        "torch": version("torch"),
        "git_commit": _git_commit(),
        "date": time.strftime("%Y-%m-%d"),
    }
    return ModelInfo.of(
        network,
        **pixels,
        classes=data.class_names,
        training=known,
    )


def _git_commit() -> str | None:
    """Of the folder that the command was typed in."""
    if shutil.which("git") is None:
        return None
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=os.getcwd()
    )
    return done.stdout.strip() or None
