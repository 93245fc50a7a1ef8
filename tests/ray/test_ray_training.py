"""Final training on the shared Ray: two workers, a lost one, another driver."""

from __future__ import annotations

import functools
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.engine.config import TrainWorkerConfig
from raynas.engine.final import train_on_cluster
from raynas.engine.final_plan import plan_training
from raynas.errors import DataError
from raynas.files import TRAINING_FILE
from raynas.models.folder import load_model
from raynas.programs.train.config import TrainConfig
from raynas.programs.train.curve import read_curve
from raynas.programs.train.prepare import prepare_training
from raynas.programs.train.train import train_prepared
from raynas.programs.train.worker import WorkerInput, build_training
from raynas.training.batches import TrainingBatch
from raynas.training.device import Placement
from raynas.training.final import FinalTraining
from raynas.training.final_config import ClassifierSummary, StepSummary, TrainingSummary
from tests.nn.small_networks import TINY

from .conftest import BLOCK_BYTES, memory_kept

pytestmark = pytest.mark.ray
SETTINGS = {
    "network": {"cells_per_stack": 1, "filters": 4},
    "training": {"epochs": 3, "precision": "float32", "average_decay": 0.9, "checkpoint_steps": 20},
    "workers": {"count": 2, "cpus": 0.01},
    "tracking": {"enabled": False},
}


def prepared(folder: Path, **settings: Any):
    return prepare_training(TINY, cell="tiny", recipe="cifar_final", out=folder, settings=SETTINGS | settings)


# The pool is there for its Ray alone, and leaves little of it.
@pytest.fixture(scope="module")
def undisturbed(pool, tmp_path_factory):
    training = prepared(tmp_path_factory.mktemp("undisturbed") / "training")
    return train_prepared(training)


def weights(model: Path) -> dict[str, torch.Tensor]:
    return dict(load_model(model).network.state_dict())


def assert_same_weights(one: Path, other: Path) -> None:
    one_weights, other_weights = weights(one), weights(other)
    assert [key for key in one_weights if not torch.equal(one_weights[key], other_weights[key])] == []


def test_two_workers_train_a_network_that_can_be_loaded(undisturbed):
    assert [summary.epoch for summary in undisturbed.summaries] == [1, 2, 3]
    assert undisturbed.summaries[-1].train_loss < undisturbed.summaries[0].train_loss
    info = load_model(undisturbed.model).info
    assert info.training["cell"] == "tiny"
    assert info.training["top1"] == undisturbed.summaries[-1].top1


class Interrupted:
    """Batches whose first rank dies once, in the middle of the second epoch."""

    def __init__(self, batches: Any, marker: Path) -> None:
        self.batches = batches
        self.marker = marker
        self.num_classes = batches.num_classes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.batches, name)

    def train_batches(self, epoch: int, batch_size: int, **options: Any) -> Iterator[TrainingBatch]:
        for index, batch in enumerate(self.batches.train_batches(epoch, batch_size, **options)):
            if epoch == 1 and index == 28 and options["rank"] == 0 and not self.marker.exists():
                self.marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch


def test_a_killed_worker_costs_nothing_but_time(undisturbed, tmp_path):
    training = prepared(tmp_path / "training")
    # By value: workers can't import a test's module.
    interrupt, build = Interrupted, functools.partial(build_training, folder=tmp_path, config=training.config)
    marker, kept, measure = tmp_path / "died", tmp_path / "memory-kept", memory_kept

    def factory(placement: Placement, data: Any) -> FinalTraining[Any]:
        kept.write_text(str(measure()))
        made = build(placement, data)
        made.batches = interrupt(made.batches, marker)
        return made

    summaries: list[TrainingSummary] = []
    states = train_on_cluster(
        factory,
        WorkerInput(training.data),
        plan=plan_training(TrainWorkerConfig(count=2, cpus=0.01, gpus=0)),
        folder=tmp_path,
        score="top1",
        max_failures=1,
        batch_size=32,
        report_summary=summaries.append,
    )
    assert marker.exists()
    assert int(kept.read_text()) > BLOCK_BYTES // 2
    epochs = [summary for summary in summaries if isinstance(summary, ClassifierSummary)]
    assert [summary.epoch for summary in epochs] == [1, 2, 3]
    assert {summary.step for summary in summaries if isinstance(summary, StepSummary)} >= {20, 40, 60, 80}
    assert states.best_epoch == max(epochs, key=lambda summary: (summary.top1, summary.epoch)).epoch
    expected = weights(undisturbed.model)
    given = {k.removeprefix("module."): v for k, v in states.last["average"].items() if k != "n_averaged"}
    assert [key for key in expected if not torch.equal(expected[key], given[key])] == []


def test_another_driver_goes_on_with_a_training(undisturbed, tmp_path):
    folder = tmp_path / "training"

    def stop(summary: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_prepared(prepared(folder), report=stop)
    resumed = train_prepared(prepare_training(None, cell="", out=folder, resume=True))
    assert [summary.epoch for summary in resumed.summaries] == [1, 2, 3]
    assert_same_weights(resumed.model, undisturbed.model)


def train(*words: str) -> str:
    result = CliRunner().invoke(app, ["train", *words, "--workers", "1", "--set", "workers.cpus=0.01"])
    assert (result.exit_code, result.exception) == (0, None), result.output
    return result.output


def test_d10_a_fine_tuning_that_was_resumed_without_its_weights_ends_as_an_undisturbed_one(
    undisturbed, tmp_path
):
    source, whole, parts = tmp_path / "source", tmp_path / "whole", tmp_path / "parts"
    shutil.copytree(undisturbed.model, source)
    words = ["--weights", str(source), "--recipe", "finetune", "--epochs", "2"]
    words += ["--set", "tracking.enabled=false", "--set", "training.precision=float32"]
    said = train(*words, "--out", str(whole))
    assert f"weights: from {source} (digest " in said and "new: nothing" in said
    curve = read_curve(whole, ClassifierSummary)
    assert curve[0].train_loss < undisturbed.summaries[0].train_loss

    def stop(summary: Any) -> None:
        raise KeyboardInterrupt

    config = TrainConfig.model_validate_json((whole / TRAINING_FILE).read_text())
    settings = config.model_dump(mode="json", exclude={"genotype", "cell", "recipe", "run_id", "origin"})
    begun = prepare_training(TINY, cell=config.cell, recipe=config.recipe, out=parts, settings=settings)
    with pytest.raises(KeyboardInterrupt):
        train_prepared(begun, report=stop)
    shutil.rmtree(source)
    assert f"weights: from {source} (digest " in train("--out", str(parts), "--resume")
    assert [summary.epoch for summary in read_curve(parts, ClassifierSummary)] == [1, 2]
    assert_same_weights(parts / "model", whole / "model")


def test_an_error_that_a_restart_would_repeat_ends_the_training_at_once(pool, tmp_path):
    """Here one in the data; tests/engine/test_train_worker.py has the other kind, memory that runs out."""
    training = prepared(tmp_path / "training")

    def factory(placement: Placement, data: Any) -> FinalTraining[Any]:
        raise DataError("shard 7 is broken")

    with pytest.raises(DataError, match="shard 7 is broken"):
        train_on_cluster(
            factory,
            training.data,
            plan=plan_training(TrainWorkerConfig(count=1, cpus=0.01, gpus=0)),
            folder=tmp_path,
            score="top1",
            max_failures=5,
            batch_size=32,
            report_summary=lambda summary: None,
        )
