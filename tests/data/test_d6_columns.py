"""D6: label_column, image_column and train_images are settings wherever data is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from raynas.cli.main import app
from raynas.cli.terminal.doctor import data_config, examine
from raynas.cli.terminal.next_steps import data_options
from raynas.config import differences
from raynas.data import DataConfig, ImageSplit, load_split
from raynas.data.parquet_columns import Columns
from raynas.data.shard import open_shard
from raynas.data.stream import ImageIndex, Shuffle, rows
from raynas.data.stream.order import plan_epoch
from raynas.errors import DataError, InvalidConfig
from raynas.programs.search.config import SearchConfig, resumed_search_config
from raynas.programs.train.config import TrainDataConfig
from raynas.programs.train.data import find_data
from tests.data.builders import hugging_face
from tests.data.odd_folders import noise

CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(
    path: Path, *, images: tuple[str, ...] = ("img",), plain: tuple[str, ...] = (), rows: int = 40
) -> Path:
    """A file as CIFAR-100 has it: fine and coarse labels, and columns of images."""
    contents = [noise(f"{path.name} {row}") for row in range(rows)]
    columns = {
        name: pa.array([{"bytes": image, "path": None} for image in contents], CELL) for name in images
    }
    columns |= {name: pa.array(contents, pa.binary()) for name in plain}
    labels = {
        "fine_label": [row % 4 for row in range(rows)],
        "coarse_label": [row % 2 for row in range(rows)],
    }
    table = pa.table(columns | labels).replace_schema_metadata(hugging_face("fine_label", "abcd"))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=7)
    return path


@pytest.fixture
def cifar100(tmp_path: Path) -> Path:
    write(tmp_path / "set" / "train.parquet")
    write(tmp_path / "set" / "test.parquet", rows=8)
    return tmp_path / "set"


def raynas(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def in_memory(source: Path, **columns: str) -> int:
    return load_split(DataConfig(source=str(source), **columns), seed=0).num_classes


def streamed(source: Path, **columns: Any) -> int:
    return ImageIndex.find(str(source), **columns).num_classes


READERS = [in_memory, streamed]


@pytest.mark.parametrize("read", READERS)
def test_d6_the_label_column_can_be_chosen(cifar100, read):
    assert read(cifar100, label_column="fine_label") == 4
    assert read(cifar100, label_column="coarse_label") == 2


@pytest.mark.parametrize("streams", [[], ["--set", "data.streamed=true"]])
@pytest.mark.parametrize("column", ["fine_label", "coarse_label"])
def test_d6_a_training_is_planned_on_a_chosen_label_column(cifar100, column, streams):
    small = ["--batch-size", "8", "--epochs", "1", *streams, "--set", f"data.label_column={column}"]
    planned = raynas("train", "nasnet_a", "--data", cifar100, "--dry-run", *small)
    assert planned.exit_code == 0, planned.output
    assert f"images in 'img' and labels in '{column}'" in planned.output


def test_d6_a_search_is_planned_on_a_chosen_label_column(cifar100):
    column = ["--set", "data.label_column=fine_label"]
    planned = raynas("search", "--data", cifar100, "--dry-run", *column)
    assert planned.exit_code == 0, planned.output
    assert "for training, in train.parquet: 40 images; a 10, b 10, c 10, d 10" in planned.output


@pytest.mark.parametrize("streams", [True, False])
def test_d6_the_doctor_takes_the_datas_settings(cifar100, streams):
    settings = {"data": {"streamed": streams, "label_column": "coarse_label"}}
    checks = examine(data=data_config(str(cifar100), settings), address=None, runs=cifar100.parent)
    check = next(check for check in checks if "data" in check.name)
    assert check.is_ok and "0 20, 1 20" in check.message


def test_d6_the_doctor_refuses_other_settings(cifar100):
    with pytest.raises(InvalidConfig, match=r"child is not an option here.*data\.label_column"):
        data_config(str(cifar100), {"child": {"epochs": 1}})
    with pytest.raises(InvalidConfig, match=r"data\.label_colum is not an option.*label_column"):
        data_config(str(cifar100), {"data": {"label_colum": "x"}})


@pytest.mark.parametrize("read", READERS)
def test_d6_an_unknown_label_column_lists_the_columns_and_the_setting(cifar100, read):
    message = (
        r"no column 'label'\..* Its columns: img, fine_label, coarse_label\. Those that hold integers: "
        r"fine_label, coarse_label\. Set data\.label_column"
    )
    with pytest.raises(DataError, match=message):
        read(cifar100)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["jpg", "pixel_values", "picture", "Image"])
@pytest.mark.parametrize("is_plain", [True, False])
def test_d6_the_only_column_of_images_needs_no_setting(tmp_path, read, name, is_plain):
    names = {"images": (), "plain": (name,)} if is_plain else {"images": (name,)}
    assert read(write(tmp_path / "a.parquet", **names), label_column="fine_label") == 4
    assert read(tmp_path / "a.parquet", label_column="fine_label", image_column=name) == 4


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("names", [("jpg", "png"), ("img", "image")])
def test_d6_two_columns_of_images_ask_for_the_setting(tmp_path, read, names):
    file = write(tmp_path / "a.parquet", images=names)
    with pytest.raises(DataError, match=rf"several columns .*: {'|'.join(names)}.*Set data\.image_column"):
        read(file, label_column="fine_label")
    for name in names:
        assert read(file, label_column="fine_label", image_column=name) == 4


@pytest.mark.parametrize("read", READERS)
def test_d6_bytes_beside_a_column_of_images_are_something_else(tmp_path, read):
    file = write(tmp_path / "a.parquet", images=("picture",), plain=("checksum",))
    assert read(file, label_column="fine_label") == 4


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("imgs", r"no column 'imgs'\. Did you mean 'img'\? Its columns: img: struct.*fine_label: int64"),
        ("fine_label", r"image column 'fine_label' .* holds values of type int64; struct"),
    ],
)
def test_d6_a_wrong_image_column_lists_the_columns_and_the_setting(cifar100, read, name, message):
    with pytest.raises(DataError, match=rf"{message}.*Set data\.image_column"):
        read(cifar100, label_column="fine_label", image_column=name)


@pytest.mark.parametrize("is_streamed", [True, False])
def test_d6_a_training_can_have_fewer_images(cifar100, is_streamed):
    settings = {"streamed": is_streamed, "label_column": "fine_label", "train_images": 13}
    config = TrainDataConfig(source=str(cifar100), **settings)
    data = find_data(config, seed=0)
    assert data.num_train_images == 13
    assert "13 of them for training" in data.described()[-1]
    if isinstance(data, ImageSplit):
        return
    assert isinstance(data, ImageIndex)
    plans = [plan_epoch(data.train, shuffle=Shuffle(1), epoch=epoch, batch_size=4) for epoch in (0, 1)]
    units = [np.concatenate(plan.units) for plan in plans]
    kept = set(np.concatenate(data.train.pieces(None)).tolist())
    assert len(kept) == 13
    assert all(set(numbers_N.tolist()) <= kept and len(numbers_N) == 12 for numbers_N in units)


@pytest.mark.parametrize(
    ("count", "message"),
    [(41, "has 40 training images, but data.train_images = 41"), (3, "3 training images")],
)
def test_d6_a_number_of_streamed_images_that_cannot_be_is_refused(cifar100, count, message):
    config = TrainDataConfig(
        source=str(cifar100), streamed=True, label_column="fine_label", train_images=count
    )
    with pytest.raises(DataError, match=re.escape(message)):
        find_data(config, seed=0)


def test_d6_a_run_that_does_not_record_the_new_settings_resumes_and_compares_as_before():
    now = SearchConfig().model_dump(mode="json")
    then = now | {"data": {name: value for name, value in now["data"].items() if name != "image_column"}}
    assert resumed_search_config(then, {}) == SearchConfig()
    assert differences(then, now) == {}
    assert TrainDataConfig().model_dump(include={"train_images", "label_column", "image_column"}) == {
        "train_images": None,
        "label_column": "label",
        "image_column": None,
    }


def test_d6_the_commands_that_a_search_prints_name_its_columns():
    data = DataConfig(source="my images", label_column="fine_label", image_column="jpg")
    expected = "--data 'my images' --set data.label_column=fine_label --set data.image_column=jpg"
    assert data_options(data) == expected
    assert data_options(DataConfig()) == "--data digits"


@pytest.mark.parametrize("column", ["fine_label", "coarse_label"])
def test_d6_convert_takes_the_columns(cifar100, tmp_path, column):
    write(cifar100 / "train.parquet", images=("img", "mask", "image"))
    options = ["--label-column", column, "--image-column", "mask", "--train-images", "30"]
    ended = raynas("convert", cifar100, tmp_path / "out", *options)
    assert (ended.exit_code, "test.parquet has no column 'mask'" in ended.output) == (2, True), ended.output
    write(cifar100 / "test.parquet", images=("mask",), rows=8)
    ended = raynas("convert", cifar100, tmp_path / "out", *options)
    assert ended.exit_code == 0, ended.output
    index = ImageIndex.find(str(tmp_path / "out"))
    assert index.validation is not None
    assert (index.train.num_images, index.validation.num_images) == (30, 8)
    assert index.class_names == (("a", "b", "c", "d") if column == "fine_label" else None)


def test_d6_converted_rows_keep_their_images_and_labels(tmp_path):
    write(tmp_path / "a.parquet", rows=40)
    ended = raynas("convert", tmp_path / "a.parquet", tmp_path / "out", "--label-column", "fine_label")
    assert ended.exit_code == 0, ended.output
    images = ImageIndex.find(str(tmp_path / "out")).train
    pieces = [images.piece(numbers_N).read() for numbers_N in images.pieces(None)]
    pairs = [pair for piece in pieces for pair in zip(piece.images, piece.labels_N.tolist(), strict=True)]
    expected = [(noise(f"a.parquet {row}"), row % 4) for row in range(40)]
    converted = [(image.content, label) for image, label in pairs]
    assert sorted(converted) == sorted(expected)
    assert converted != expected


def test_d6_row_groups_are_read_window_by_window(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "WINDOW_BYTES", 2_000)
    members = rows.rows_of(open_shard(write(tmp_path / "a.parquet", rows=70), Columns("fine_label")))
    order = rows.row_order(members, np.random.default_rng(0))
    assert sorted(order) == list(range(70))
    groups = [members[number].group.index for number in order]
    spans = {group: max(places) - min(places) for group in set(groups)
             if (places := [place for place, other in enumerate(groups) if other == group])}  # fmt: skip
    assert max(spans.values()) < 35
