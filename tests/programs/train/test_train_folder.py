"""A final training's folder: what may begin or go on there, and what is never overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raynas.cli.terminal.train_plan import plan_lines
from raynas.engine.final_checkpoints import CHECKPOINT_LIST_FILE
from raynas.errors import RunFolderError, UnknownName
from raynas.files import CHECKPOINTS_FOLDER, CURVE_FILE, STATE_FILE, TRAINING_FILE
from raynas.programs.train.config import TrainConfig
from raynas.programs.train.curve import read_curve
from raynas.programs.train.folder import write_config
from raynas.programs.train.prepare import (
    PreparedTraining,
    find_start,
    prepare_named_training,
    prepare_training,
)
from raynas.programs.train.recipes import train_config
from raynas.programs.train.train import train_final
from raynas.training.classification import classifier_training
from raynas.training.device import Placement
from raynas.training.final_config import ClassifierSummary
from search_spaces.nasnet import NASNET_A
from tests.nn.small_networks import TINY
from tests.training.final_runs import final_config, network, source

WORDS = {"cell": "nasnet_a", "genotype": NASNET_A.to_dict()}


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A training that was started and wrote no checkpoint yet."""
    (tmp_path / TRAINING_FILE).write_text(train_config("cifar_final", WORDS).model_dump_json())
    return tmp_path


def resume(folder: Path, genotype=None, **words):
    return prepare_training(genotype, cell="", out=folder, resume=True, **words)


def write_checkpoint(folder: Path, name: str) -> None:
    (folder / CHECKPOINTS_FOLDER / name).mkdir(parents=True)
    (folder / CHECKPOINTS_FOLDER / name / STATE_FILE).touch()
    results = [{"checkpoint_dir_name": name, "metrics": {}}]
    (folder / CHECKPOINTS_FOLDER / CHECKPOINT_LIST_FILE).write_text(
        json.dumps({"checkpoint_results": results})
    )


def summary_line(epoch: int) -> str:
    values = {"train_loss": 1.0, "top1": 0.5, "top5": 0.9, "learning_rate": 0.1, "images_per_second": 1.0}
    return ClassifierSummary(epoch=epoch, seconds=1.0, seconds_left=1.0, **values).model_dump_json() + "\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (TRAINING_FILE, "already holds a training. Resume it"),
        ("journal.jsonl", "holds a search or a promotion"),
        (CURVE_FILE, r"curve\.jsonl is left from an earlier training"),
        (CHECKPOINTS_FOLDER, "checkpoints is left from an earlier training whose training.json is gone"),
    ],
)
def test_what_is_there_is_not_trained_over(tmp_path, name, message):
    (tmp_path / name).write_text("kept")
    with pytest.raises(RunFolderError, match=message):
        prepare_training(NASNET_A, cell="nasnet_a", out=tmp_path)
    assert (tmp_path / name).read_text() == "kept"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="file is a file"):
        prepare_training(NASNET_A, cell="nasnet_a", out=tmp_path / "file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"There is no training to resume: .*training\.json"),
        ("{", "can't be read as JSON"),
        ("{}", "describes no training: it lacks cell and genotype"),
        ("[]", "describes no training"),
    ],
)
def test_a_missing_or_garbled_training_can_not_be_resumed(tmp_path, content, message):
    if content is not None:
        (tmp_path / TRAINING_FILE).write_text(content)
    with pytest.raises(RunFolderError, match=message):
        resume(tmp_path)


def test_resumed_it_can_have_other_workers_and_nothing_else(begun):
    resumed = resume(begun, settings={"workers": {"count": 2}})
    assert resumed.config.workers.count == 2
    with pytest.raises(RunFolderError, match=r"with training\.epochs = 600, not 5"):
        resume(begun, settings={"training": {"epochs": 5}})


def finished(folder: Path, epochs: int) -> Path:
    config = train_config("cifar_final", {**WORDS, "training": {"epochs": epochs}})
    (folder / TRAINING_FILE).write_text(config.model_dump_json())
    (folder / CURVE_FILE).write_text("".join(summary_line(epoch + 1) for epoch in range(epochs)))
    write_checkpoint(folder, "checkpoint_1")
    return folder


def test_d14_a_finished_training_gets_more_epochs_and_the_plan_has_the_learning_rate(tmp_path):
    resumed = resume(finished(tmp_path, 2), settings={"training": {"epochs": 4}})
    assert resumed.config.training.epochs == 4
    text = "\n".join(plan_lines(resumed, is_resumed=True))
    assert "resumed: 2 of 4 epochs are done" in text
    # Half of 0.025: the middle of a cosine over four epochs.
    assert "learning rate: from epoch 3 on that of a training of 4 epochs, first 0.0125" in text
    write_config(tmp_path, resumed.config)
    assert resume(tmp_path).config.training.epochs == 4


@pytest.mark.parametrize(
    "training", [{"epochs": 1}, {"epochs": 4, "batch_size": 16}, {"epochs": 4, "schedule": {"floor": 0.1}}]
)
def test_d14_neither_fewer_epochs_nor_anything_else_of_a_training_changes(tmp_path, training):
    with pytest.raises(RunFolderError, match=r"On resume only .*training\.epochs can grow"):
        resume(finished(tmp_path, 2), settings={"training": training})
    assert TrainConfig.model_validate_json((tmp_path / TRAINING_FILE).read_text()).training.epochs == 2


def test_d14_the_learning_rate_goes_on_as_in_a_training_of_so_many_epochs():
    short, longer = (
        classifier_training(network(), source(), final_config(epochs=epochs), Placement())
        for epochs in (1, 3)
    )
    short.run()
    longer.load_state_dict(short.state_dict())
    rates: list[float] = []
    longer.run(check=lambda: rates.append(longer.optimizer.param_groups[0]["lr"]))
    assert (longer.epoch, longer.step) == (3, 3 * short.steps_per_epoch)
    assert rates[1] == pytest.approx(0.025 * longer.config.schedule.factor(1, 3))


def test_a_training_keeps_the_id_that_was_drawn_for_it(begun, tmp_path):
    # Without an id, as a recipe's config is.
    assert json.loads((begun / TRAINING_FILE).read_text())["run_id"] == ""
    config = prepare_training(NASNET_A, cell="nasnet_a", out=tmp_path / "new").config
    assert len(config.run_id) == 32
    write_config(tmp_path / "new", config)
    assert resume(tmp_path / "new").config == config


def test_s4_of_two_trainings_that_begin_in_one_folder_the_second_is_refused(tmp_path):
    first, second = (prepare_training(NASNET_A, cell="nasnet_a", out=tmp_path / "new").config for _ in "ab")
    write_config(tmp_path / "new", first)
    before = (tmp_path / "new" / TRAINING_FILE).read_bytes()
    with pytest.raises(RunFolderError, match="new already holds a training"):
        write_config(tmp_path / "new", second)
    write_config(tmp_path / "new", first)
    assert (tmp_path / "new" / TRAINING_FILE).read_bytes() == before
    assert [path.name for path in (tmp_path / "new").iterdir()] == [TRAINING_FILE]


def test_s4_trainings_that_are_prepared_in_the_same_second_have_their_own_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {"data": {"source": "digits"}}
    first, second = (prepare_named_training("nasnet_a", settings=data) for _ in "ab")
    assert first.folder != second.folder


def test_arguments_are_fields_of_the_config(tmp_path, monkeypatch):
    def prepared_config(prepared: PreparedTraining, **_: Any) -> TrainConfig:
        return prepared.config

    monkeypatch.setattr("raynas.programs.train.train.train_prepared", prepared_config)
    given: Any = {"data": "digits", "nodes": 2, "min_workers": 3, "epochs": 4, "batch_size": 50, "seed": 6}
    config: Any = train_final("nasnet_a", out=tmp_path / "new", settings={"workers": {"cpus": 7}}, **given)
    assert (config.cell, config.genotype, config.data.source) == ("nasnet_a", NASNET_A, "digits")
    workers = config.workers
    assert (workers.nodes, workers.count, workers.at_least, workers.cpus) == (2, "auto", 3, 7)
    assert (config.training.epochs, config.training.batch_size, config.seed) == (4, 50, 6)


def test_resumed_on_so_many_workers_it_no_longer_has_so_many_nodes(begun):
    config = train_config("cifar_final", {**WORDS, "workers": {"nodes": 4}})
    (begun / TRAINING_FILE).write_text(config.model_dump_json())
    assert resume(begun, settings={"workers": {"count": 2}}).config.workers.nodes is None


def test_the_command_it_was_started_with_resumes_it(begun):
    resumed = resume(begun, NASNET_A, recipe="cifar_final", settings={"data": {"source": "digits"}})
    assert resumed.config.cell == "nasnet_a"


@pytest.mark.parametrize(
    ("genotype", "recipe", "message"),
    [
        (TINY, None, "is of the cell nasnet_a, architecture .*; the one that was given is architecture"),
        (NASNET_A, "imagenet_mobile", "with the recipe cifar_final, not imagenet_mobile"),
    ],
)
def test_it_does_not_go_on_with_another_cell_or_recipe(begun, genotype, recipe, message):
    with pytest.raises(RunFolderError, match=message):
        resume(begun, genotype, recipe=recipe)


def test_without_a_checkpoint_it_begins_from_the_start_and_says_so(begun):
    assert any("starts from the beginning" in line for line in plan_lines(resume(begun), is_resumed=True))
    write_checkpoint(begun, "checkpoint_1")
    (begun / CURVE_FILE).write_text(summary_line(1))
    assert "resumed: 1 of 600 epochs are done" in plan_lines(resume(begun), is_resumed=True)


def test_epochs_whose_checkpoint_is_gone_can_not_be_resumed(begun):
    (begun / CURVE_FILE).write_text(summary_line(1))
    with pytest.raises(RunFolderError, match=r"no checkpoint to resume from .*1 epochs were trained"):
        resume(begun)
    write_checkpoint(begun, "checkpoint_1")
    (begun / CHECKPOINTS_FOLDER / "checkpoint_1" / STATE_FILE).unlink()
    with pytest.raises(RunFolderError, match=r"checkpoint_1/state\.pt is gone"):
        resume(begun)
    (begun / CHECKPOINTS_FOLDER / CHECKPOINT_LIST_FILE).write_text("{}")
    with pytest.raises(RunFolderError, match="is no list of checkpoints"):
        resume(begun)


def test_a_misspelt_network_is_answered_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownName, match=r"No published cell or network .*Did you mean 'nasnet_a_mobile'"):
        find_start("nasnet_a_mobil")


def test_resuming_needs_its_folder():
    with pytest.raises(RunFolderError, match="To resume a training, give its folder"):
        train_final("nasnet_a", resume=True)


def test_a_torn_line_of_the_curve_is_dropped_and_a_damaged_one_named(tmp_path):
    curve = tmp_path / CURVE_FILE
    curve.write_text(summary_line(1) + summary_line(2)[:20])
    assert [summary.epoch for summary in read_curve(tmp_path, ClassifierSummary)] == [1]
    assert curve.read_text() == summary_line(1)
    curve.write_text("{}\n" + summary_line(2))
    with pytest.raises(RunFolderError, match=r"curve\.jsonl is damaged"):
        read_curve(tmp_path, ClassifierSummary)


def test_s3_a_training_whose_images_moved_goes_on_with_them_and_says_so(tmp_path, caplog):
    words = {"data": {"source": str(tmp_path / "gone")}}
    (tmp_path / TRAINING_FILE).write_text(train_config("cifar_final", {**WORDS, **words}).model_dump_json())
    resumed = resume(tmp_path, settings={"data": {"source": "digits"}})
    assert resumed.config.data.source == "digits"
    assert f"are no longer at {tmp_path / 'gone'}" in caplog.text
    (tmp_path / "gone").mkdir()
    with pytest.raises(RunFolderError, match=r"with data\.source = .*gone', not 'digits'"):
        resume(tmp_path, settings={"data": {"source": "digits"}})
