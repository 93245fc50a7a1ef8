"""What a run's or a training's folder may say that nobody can go on with: found by mutating whole ones."""

from __future__ import annotations

import json
import os

import pytest
from rich.console import Console

from raynas.cli.terminal.convert import read_class_names, run_convert
from raynas.data import DataConfig, load_split
from raynas.data.stream import ImageIndex
from raynas.engine.searcher import TuneSearcher
from raynas.errors import DataError, InvalidConfig, RunFolderError, UsageError
from raynas.files import CURVE_FILE, JOURNAL_FILE, TRAINING_FILE
from raynas.programs.promote import prepare_promotion
from raynas.programs.train.curve import read_curve
from raynas.programs.train.prepare import prepare_training
from raynas.run.lookup import find_cell
from raynas.training.final_config import ClassifierSummary
from tests.fuzz.seeds import STRATEGIES, journal_lines, parquet_bytes
from tests.fuzz.targets.tar import FORMATS, tar_bytes
from tests.run.builders import make_run

DEEP = "[" * 100_000 + "]" * 100_000


def write_run(folder, change):
    lines = journal_lines(folder / JOURNAL_FILE, strategy=STRATEGIES[0])
    change(lines)
    (folder / JOURNAL_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))


def other_space(lines):
    lines[0]["config"]["space"] = {"name": "enas"}


def word_for_space(lines):
    lines[0]["config"]["space"] = "nasnet"


def no_space(lines):
    del lines[0]["config"]["space"]


@pytest.mark.parametrize("change", [other_space, word_for_space, no_space])
def test_a_run_whose_children_are_from_no_space_has_no_cell_and_no_promotion(tmp_path, change):
    write_run(tmp_path, change)
    with pytest.raises(UsageError):
        find_cell(None, tmp_path)
    with pytest.raises(InvalidConfig):
        prepare_promotion(tmp_path, out=tmp_path / "out")


@pytest.mark.parametrize("content", ["[]", "3", DEEP, "\xff", "9" * 5000])
def test_a_training_whose_config_is_no_object_cannot_be_resumed(tmp_path, content):
    (tmp_path / TRAINING_FILE).write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError):
        prepare_training(None, cell="", out=tmp_path, resume=True)


@pytest.mark.parametrize("value", ["2", "-1", "NaN"])
def test_a_curve_has_accuracies_between_zero_and_one(tmp_path, value):
    known = '"epoch":1,"train_loss":1,"top5":1,"learning_rate":1,"images_per_second":1,"seconds":1'
    (tmp_path / CURVE_FILE).write_text(f'{{{known},"top1":{value}}}\n')
    with pytest.raises(RunFolderError, match="damaged"):
        read_curve(tmp_path, ClassifierSummary)


@pytest.mark.parametrize("content", [DEEP, "[]", '{"children": [], "events": []}', "\xff"])
def test_a_searchers_state_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "state.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(RunFolderError, match="no state of a TuneSearcher"):
        TuneSearcher(make_run()).restore(str(tmp_path / "state.json"))


def test_class_names_that_are_nested_without_end_are_refused(tmp_path):
    (tmp_path / "classes.json").write_text(DEEP)
    with pytest.raises(DataError, match="recursion limit"):
        read_class_names(tmp_path / "classes.json")


def test_a_parquet_column_whose_name_is_no_unicode_is_refused(tmp_path):
    file = tmp_path / "train.parquet"
    file.write_bytes(parquet_bytes().replace(b"bytes", b"byt\xffs"))
    with pytest.raises(DataError, match="can't be read as Parquet"):
        load_split(DataConfig(source=str(file)), seed=0)
    with pytest.raises(DataError, match="can't be read as Parquet"):
        ImageIndex.find(str(tmp_path))


@pytest.mark.parametrize("name", [os.fsdecode(b"shards\xff"), "images.tar/shards"])
def test_a_folder_that_shards_cannot_be_written_to_is_named(tmp_path, name):
    (tmp_path / "images.tar").write_bytes(tar_bytes(FORMATS[0]))
    with pytest.raises(DataError, match="can't be written"):
        run_convert(
            str(tmp_path / "images.tar"),
            tmp_path / name,
            shard_mb=1,
            classes=None,
            console=Console(quiet=True),
        )


def test_labels_that_make_more_classes_than_images_are_refused(tmp_path):
    for name in ("train", "val"):
        (tmp_path / f"{name}.parquet").write_bytes(parquet_bytes(has_names=False, label=10**15))
    with pytest.raises(DataError, match="1,000,000,000,000,001 classes"):
        ImageIndex.find(str(tmp_path))
