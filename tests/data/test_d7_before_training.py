"""What would end a training hours later is found before a worker starts, in memory and streamed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.cli.terminal import doctor
from raynas.data.stream import ImageIndex
from raynas.data.stream import preflight as module
from raynas.errors import DataError
from raynas.programs.train.config import TrainDataConfig
from raynas.programs.train.data import find_data

from .builders import encoded, pictures, write_folder, write_parquet


def find(source: Path, *, streamed: bool = True, skip_broken: bool = False) -> object:
    config = TrainDataConfig(source=str(source), streamed=streamed, image_size=8, skip_broken=skip_broken)
    return find_data(config, seed=0)


def found(source: Path, *, skip_broken: bool = False) -> ImageIndex:
    index = find(source, skip_broken=skip_broken)
    assert isinstance(index, ImageIndex)
    return index


def with_one(labels_or_images: list[Any], place: int, value: object) -> list[Any]:
    return [*labels_or_images[:place], value, *labels_or_images[place + 1 :]]


def noise(kind: str = "PNG", size: tuple[int, int] = (40, 40)) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), kind)


LABELS = [index % 2 for index in range(20)]
FLOATS = encoded(Image.fromarray(np.zeros((8, 8), dtype=np.float32)), "TIFF")

# What is wrong with a Parquet file of 20 rows: its labels, its images, and what the message says.
WRONG: dict[str, tuple[list[Any], list[Any], str]] = {
    "a null label": (with_one(LABELS, 7, None), pictures(), r"Row 7 .* label null; allowed are 0 to 1"),
    "label -1": (with_one(LABELS, 19, -1), pictures(), r"Row 19 .* label -1; allowed are 0 to 1"),
    "a label beyond the names": (with_one(LABELS, 0, 2), pictures(), r"Row 0 .* label 2; allowed are 0 to 1"),
    "a huge label": (with_one(LABELS, 3, 2**62), pictures(), r"Row 3 .* label \d+; allowed are 0 to 1"),
    "only nulls": ([None] * 19 + [0], pictures(), r"Row 0 .* label null"),
    "labels of text": (["cat"] * 20, pictures(), r"'label' of .* type string; integers"),
    "labels of floating point": ([0.5] * 20, pictures(), r"'label' of .* type double; integers"),
    "a row without bytes": (LABELS, with_one(pictures(), 0, None), r"Row 0 .* has no image bytes"),
    "the last row without bytes": (LABELS, with_one(pictures(), 19, None), r"Row 19 .* has no image bytes"),
    "empty bytes": (LABELS, with_one(pictures(), 8, b""), r"row 8 .* can't be decoded"),
    "a truncated PNG": (LABELS, with_one(pictures(), 5, noise()[:-300]), r"row 5 .* can't be decoded"),
    "a truncated JPEG": (LABELS, with_one(pictures(), 5, noise("JPEG")[:-99]), r"row 5 .* can't be decoded"),
    "no picture": (LABELS, with_one(pictures(), 12, b"<html>"), r"row 12 .* can't be decoded"),
    "pixels of unknown range": (LABELS, with_one(pictures(), 2, FLOATS), r"row 2 .* can't be decoded"),
}


@pytest.mark.parametrize("name", WRONG)
def test_d7_wrong_training_rows_are_found_in_memory(tmp_path, name):
    labels, images, message = WRONG[name]
    write_parquet(tmp_path / "train.parquet", labels=labels, images=images)
    with pytest.raises(DataError, match=message):
        find(tmp_path, streamed=False)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("name", WRONG)
def test_d7_wrong_rows_of_any_split_are_found_before_streaming(tmp_path, name, split):
    labels, images, message = WRONG[name]
    for sound in {"train", "validation"} - {split} - ({"validation"} if split == "test" else set()):
        write_parquet(tmp_path / f"{sound}.parquet")
    write_parquet(tmp_path / f"{split}.parquet", labels=labels, images=images)
    with pytest.raises(DataError, match=message) as raised:
        find(tmp_path)
    assert f"{split}.parquet" in str(raised.value)


@pytest.mark.parametrize(("label", "said"), [(-1, "-1"), (None, "null"), (-100, "-100")])
def test_d7_a_test_set_without_labels_is_not_used_for_validation(tmp_path, label, said):
    write_parquet(tmp_path / "train.parquet")
    write_parquet(tmp_path / "test.parquet", labels=pa.array([label] * 20, pa.int64()))
    with pytest.raises(DataError) as raised:
        find(tmp_path)
    message = str(raised.value)
    for part in (
        "test.parquet can't be used for validation",
        "'label'",
        said,
        "row 0",
        "0 to 1",
        "streamed=false",
    ):
        assert part in message
    assert find(tmp_path, streamed=False) is not None


def test_d7_a_single_wrong_class_in_all_rows_is_no_missing_label(tmp_path):
    write_parquet(tmp_path / "train.parquet")
    write_parquet(tmp_path / "test.parquet", labels=[2] * 20)
    with pytest.raises(DataError, match=r"Row 0 .*test\.parquet has the label 2; .* is 'label', of the val"):
        find(tmp_path)


def test_d7_in_other_shards_too_is_counted_and_skipping_is_offered(tmp_path):
    write_parquet(tmp_path / "val.parquet")
    for number in range(3):
        images = pictures() if number == 1 else with_one(pictures(), 4, b"")
        write_parquet(tmp_path / f"train-{number}.parquet", images=images)
    with pytest.raises(DataError, match=r"train-0\.parquet .* 1 more file.* data\.skip_broken=true"):
        find(tmp_path)


def test_d7_broken_shards_are_left_out_if_asked(tmp_path, caplog):
    for split in ("train", "val"):
        write_parquet(tmp_path / f"{split}-0.parquet")
        write_parquet(tmp_path / f"{split}-1.parquet", images=with_one(pictures(), 4, b""))
        write_parquet(tmp_path / f"{split}-2.parquet", labels=with_one(LABELS, 4, -1))
    with caplog.at_level(logging.WARNING):
        index = found(tmp_path, skip_broken=True)
    assert index.validation is not None
    assert (index.train.num_images, index.validation.num_images) == (20, 20)
    assert all(f"{split}-{number}.parquet" in caplog.text for split in ("train", "val") for number in (1, 2))
    numbers = np.concatenate(index.train.pieces(np.random.default_rng(0)))
    assert sorted(numbers.tolist()) == list(range(20))
    assert len(index.train.piece(index.train.pieces(None)[-1]).read().images) == 2


def test_d7_a_split_of_broken_shards_alone_is_refused_even_if_they_may_be_left_out(tmp_path):
    write_parquet(tmp_path / "train.parquet")
    write_parquet(tmp_path / "test.parquet", labels=[-1] * 20)
    with pytest.raises(DataError, match="no labels"):
        find(tmp_path, skip_broken=True)


def test_d7_without_class_names_null_and_negative_labels_are_found(tmp_path):
    write_parquet(tmp_path / "val.parquet", class_names=None)
    for wrong in (None, -1):
        write_parquet(tmp_path / "train.parquet", class_names=None, labels=with_one(LABELS, 3, wrong))
        with pytest.raises(DataError, match=r"Row 3 .*train\.parquet has the label"):
            find(tmp_path)


@pytest.mark.parametrize("split", ["train", "val"])
def test_d7_of_a_large_split_each_shards_first_picture_and_every_label_is_looked_at(
    tmp_path, monkeypatch, split
):
    monkeypatch.setattr(module, "_SMALL_SPLIT", 10)
    monkeypatch.setattr(module, "_MORE_PICTURES", 1)
    for name in ("train-0", "train-1", "val-0", "val-1"):
        write_parquet(tmp_path / f"{name}.parquet")
    assert find(tmp_path) is not None
    broken = tmp_path / f"{split}-1.parquet"
    write_parquet(broken, images=with_one(pictures(), 0, noise()[:-300]))
    with pytest.raises(DataError, match=rf"row 0 .*{broken.name} can't be decoded"):
        find(tmp_path)
    write_parquet(broken, images=with_one(pictures(), 0, None))
    with pytest.raises(DataError, match=rf"Row 0 .*{broken.name} has no image bytes"):
        find(tmp_path)
    write_parquet(broken, labels=with_one(LABELS, 19, 7))
    with pytest.raises(DataError, match=rf"Row 19 .*{broken.name} has the label 7"):
        find(tmp_path)


def test_d7_a_split_with_many_shards_is_looked_at_in_places(tmp_path, monkeypatch):
    decoded: list[str] = []
    monkeypatch.setattr(module, "_SMALL_SPLIT", 10)
    monkeypatch.setattr(module, "_MAX_SHARDS", 3)
    monkeypatch.setattr(module, "_MORE_PICTURES", 1)
    monkeypatch.setattr(module, "_decode", lambda images, transform: decoded.append(images[0].file.name))
    for number in range(5):
        write_parquet(tmp_path / f"train-{number}.parquet")
    write_parquet(tmp_path / "val.parquet", images=pictures(10), row_group_size=10)
    find(tmp_path)
    assert sorted(decoded) == ["train-0.parquet", "train-2.parquet", "train-4.parquet", "val.parquet"]


def test_d7_rows_and_labels_of_large_row_groups_are_named_from_the_files_beginning(tmp_path):
    count = 1300
    labels = with_one([0, 1] * (count // 2), 1200, -1)
    write_parquet(
        tmp_path / "train.parquet", images=[pictures(1)[0]] * count, labels=labels, row_group_size=count
    )
    write_parquet(tmp_path / "val.parquet")
    with pytest.raises(DataError, match="Row 1200 "):
        find(tmp_path)


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("content", [b"", b"GIF89a", noise()[:-300]], ids=["empty", "header", "truncated"])
def test_d7_wrong_pictures_in_class_folders_are_found(tmp_path, monkeypatch, split, content):
    for name in ("train", "val"):
        write_folder(tmp_path / name)
    assert found(tmp_path).train.num_images == 20
    monkeypatch.setattr(module, "_SMALL_SPLIT", 10)
    monkeypatch.setattr(module, "_MORE_PICTURES", 1)
    broken = tmp_path / split / "dog" / "000.png"
    broken.write_bytes(content)
    with pytest.raises(DataError, match=rf"{broken} can't be decoded.*Replace or remove it"):
        find(tmp_path)


def test_d7_classes_that_differ_are_found(tmp_path):
    write_folder(tmp_path / "train")
    write_folder(tmp_path / "val", classes=("cat", "owl"))
    with pytest.raises(DataError, match=r"Class 1 .* is 'dog' in training and 'owl' in validation"):
        find(tmp_path)


def test_d7_an_empty_validation_split_is_found(tmp_path):
    write_parquet(tmp_path / "train.parquet")
    write_parquet(tmp_path / "validation.parquet", images=[], labels=pa.array([], pa.int64()))
    with pytest.raises(DataError, match=r"validation\.parquet .*no rows"):
        find(tmp_path)


def test_d7_the_plan_says_it(tmp_path):
    write_parquet(tmp_path / "data" / "train.parquet")
    write_parquet(tmp_path / "data" / "test.parquet", labels=[-1] * 20)
    arguments = [
        "train",
        "nasnet_a",
        "--data",
        str(tmp_path / "data"),
        "--set",
        "data.streamed=true",
        "--dry-run",
    ]
    ended = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert (ended.exit_code, "no labels" in " ".join(ended.output.split())) == (2, True), ended.output
    assert not (tmp_path / "out").exists()


def test_d7_the_doctor_says_it(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "starts_here", lambda address: False)
    write_parquet(tmp_path / "data" / "train.parquet")
    write_parquet(tmp_path / "data" / "test.parquet", labels=[-1] * 20)
    checks = {}
    for check in doctor.examine(data=str(tmp_path / "data"), address=None, runs=tmp_path):
        checks[check.name] = check
        if check.name == "streamed data":
            break
    assert checks["data"].is_ok
    assert not checks["streamed data"].is_ok and "no labels" in checks["streamed data"].message
