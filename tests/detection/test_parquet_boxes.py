"""Boxes in Parquet files: the layouts of the Hub, the format of boxes, and what `raynas convert` writes."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.detection.data.config import DetectionDataConfig
from raynas.detection.data.convert import convert_detection, shortest_xywh
from raynas.detection.data.dataset import DetectionData, DetectionSet, open_detection
from raynas.errors import DataError

from .coco_sets import SIZE, coco, picture, write_coco

XYWH = [[4.0, 6.0, 20.0, 10.0], [30.0, 20.0, 12.0, 16.0]]
XYXY = [[4.0, 6.0, 24.0, 16.0], [30.0, 20.0, 42.0, 36.0]]
BOXES = [[4, 6, 24, 16], [30, 20, 42, 36]]


def opened(source: Path, **settings: Any) -> DetectionData:
    return open_detection(DetectionDataConfig(source=str(source), **settings))


def png(number: int) -> bytes:
    stream = io.BytesIO()
    picture(number).save(stream, "PNG")
    return stream.getvalue()


def rows(boxes: Sequence[Sequence[float]] = XYWH, num_rows: int = 4, **objects: Any) -> list[dict[str, Any]]:
    return [
        {
            "image_id": 50 + number,
            "image": {"bytes": png(number), "path": f"{number}.png"},
            "width": SIZE[0],
            "height": SIZE[1],
            "objects": {"bbox": [list(box) for box in boxes], "category": [0, 2], **objects},
        }
        for number in range(num_rows)
    ]


def features(names: Sequence[str] | None = ("cat", "dog", "owl"), *, key: str = "category") -> dict[str, str]:
    kind = {"names": list(names), "_type": "ClassLabel"} if names else {"dtype": "int64", "_type": "Value"}
    objects = {"feature": {key: kind, "bbox": {"_type": "Sequence"}}, "_type": "Sequence"}
    return {"huggingface": json.dumps({"info": {"features": {"objects": objects}}})}


def write(path: Path, content: list[dict[str, Any]], metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(content).replace_schema_metadata(metadata or features())
    pq.write_table(table, path, row_group_size=3)
    return path


def corners(split: DetectionSet | None, number: int = 0) -> list[list[float]]:
    found: list[list[float]] = split.boxes.boxes_N4[split.boxes.of_picture(number)].tolist()
    return found


def test_boxes_of_the_hubs_image_folders_are_xywh(tmp_path):
    train = opened(write(tmp_path / "train.parquet", rows())).train
    assert corners(train) == BOXES and train.boxes.labels_N.tolist() == [1, 3] * 4
    assert train.picture_ids == (50, 51, 52, 53) and train.classes.names == ("cat", "dog", "owl")
    assert train.sizes_P2.tolist() == [list(SIZE)] * 4
    assert train.boxes.areas_N.tolist() == [200, 192] * 4 and not train.boxes.is_crowd_N.any()


def test_boxes_with_an_id_of_their_own_are_xyxy(tmp_path):
    train = opened(write(tmp_path / "train.parquet", rows(XYXY, bbox_id=[1, 2]))).train
    assert corners(train) == BOXES


def test_a_list_of_structs_is_read_too(tmp_path):
    content = rows()
    for row in content:
        row["objects"] = [
            {"bbox": box, "categories": label, "iscrowd": 1} for box, label in zip(XYWH, (0, 2), strict=True)
        ]
    train = opened(write(tmp_path / "a.parquet", content, features(key="categories"))).train
    assert corners(train) == BOXES and train.boxes.is_crowd_N.all()
    assert train.classes.names == ("cat", "dog", "owl")


def test_rows_without_boxes_are_pictures_too(tmp_path):
    content = rows()
    content[1]["objects"] = {"bbox": [], "category": []}
    content[2]["objects"] = None
    train = opened(write(tmp_path / "a.parquet", content)).train
    assert train.boxes.offsets.tolist() == [0, 2, 2, 2, 4]


def test_splits_are_told_by_file_names_and_numbers_go_on(tmp_path):
    write(tmp_path / "data" / "train-0.parquet", rows())
    second = rows()
    for row in second:
        row["image_id"] += 10
    write(tmp_path / "data" / "train-1.parquet", second)
    write(tmp_path / "data" / "val-0.parquet", rows(num_rows=1))
    data = opened(tmp_path / "data")
    assert data.train.num_pictures == 8 and data.validation.num_pictures == 1
    assert data.train.picture_ids == (50, 51, 52, 53, 60, 61, 62, 63)
    pieces = data.train.pictures.pieces(None)
    assert [piece.tolist() for piece in pieces] == [[0, 1, 2], [3], [4, 5, 6], [7]]
    (found,) = data.train.pictures.fetch(np.array([5]))
    assert found.read().content == png(1)


def test_without_columns_of_sizes_the_first_pictures_tell_them(tmp_path):
    content = rows()
    for row in content:
        del row["width"], row["height"], row["image_id"]
    train = opened(write(tmp_path / "a.parquet", content)).train
    assert corners(train) == BOXES and train.picture_ids == (0, 1, 2, 3)
    assert train.sizes_P2.tolist() == [[0, 0]] * 4


def test_without_names_the_classes_are_the_numbers_that_occur(tmp_path):
    write(tmp_path / "train.parquet", rows(), features(None))
    write(tmp_path / "val.parquet", rows(num_rows=1), features(None))
    assert opened(tmp_path).classes.names == ("0", "2")


UNDECIDED = {
    "corners in a layout of xywh": rows(XYXY),
    "sides in a layout of xyxy": rows(XYWH, bbox_id=[1, 2]),
    "either would do": rows([[1, 1, 2, 2], [1, 1, 3, 3]]),
    "neither would do": rows([[50, 40, 30, 30], [60, 40, 30, 30]]),
    "fractions": rows([[0.1, 0.1, 0.4, 0.4], [0.2, 0.1, 0.5, 0.5]]),
}


@pytest.mark.parametrize("content", UNDECIDED.values(), ids=UNDECIDED.keys())
def test_a_format_that_can_not_be_decided_is_asked_for(tmp_path, content):
    path = write(tmp_path / "train.parquet", content)
    with pytest.raises(DataError, match=r"train\.parquet .*can't be decided.*Set data\.box_format to xy"):
        opened(path)
    for box_format in ("xywh", "xyxy"):
        assert opened(path, box_format=box_format).train.num_pictures == 4


def test_no_boxes_at_all_need_no_format(tmp_path):
    content = rows()
    for row in content[1:]:
        row["objects"] = {"bbox": [], "category": []}
    content[0]["objects"] = {"bbox": [[np.nan, 1.0, 2.0, 3.0]], "category": [0]}
    data = opened(write(tmp_path / "train.parquet", content))
    assert len(data.train.boxes) == 0
    with pytest.raises(DataError, match="no usable box"):
        data.for_training()


def changed(**values: Any) -> list[dict[str, Any]]:
    content = rows()
    for row in content:
        row["objects"].update(values)
    return content


def without(name: str, of: str = "row") -> list[dict[str, Any]]:
    content = rows()
    for row in content:
        del (row if of == "row" else row["objects"])[name]
    return content


REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no image": (without("image"), "no image column"),
    "no objects": (without("objects"), "no column 'objects'"),
    "no boxes": (without("bbox", "objects"), "fields category; allowed are bbox"),
    "no classes": (without("category", "objects"), "fields bbox; allowed are"),
    "an unknown class": (changed(category=[0, 7]), r"'index 7' in objects\[1\] of picture 50"),
    "a negative class": (changed(category=[-1, 1]), r"'index -1' in objects\[0\]"),
    "names as classes": (changed(category=["cat", "dog"]), "values of type string"),
    "null as a class": (changed(category=[0, None]), "category of .* has nulls"),
    "fewer classes than boxes": (changed(category=[0]), r"Row 0 .* has 2 values of bbox and 1 of category"),
    "three numbers": (changed(bbox=[[1.0, 2, 3], [1, 2, 3, 4]]), "Box 0 .* has 3 numbers"),
    "texts": (changed(bbox=[["1"] * 4] * 2), "bbox of .* values of type string"),
    "beyond 32-bit floats": (changed(bbox=[[1e300, 1, 1, 1]] * 2), r"bbox of .* has 1e\+300"),
    "a wrong crowd": (changed(iscrowd=[0, 3]), "iscrowd of .* has 3"),
    "numbers": ([{**row, "objects": 7} for row in rows()], "'objects' of .* has the type int64"),
    "picture ids twice": ([*rows(), *rows()], "the id 50 twice"),
    "picture ids of floats": ([{**row, "image_id": 1.5} for row in rows()], "image_id of .* type double"),
    "no bytes": (
        [{**rows()[0], "image": {"bytes": None, "path": "x"}}, *rows()[1:]],
        "Row 0 .* no image bytes",
    ),
    "no picture": ([{**row, "image": {"bytes": b"x", "path": "x"}} for row in rows()], "row 0 .* decoded"),
    "another size": ([{**row, "width": 640, "height": 480} for row in rows()], "Picture 50 .*64x48.*640x480"),
    "swapped": ([{**row, "width": SIZE[1], "height": SIZE[0]} for row in rows([[1, 9, 5, 5]] * 2)], "swap"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_can_not_be_used_is_named(tmp_path, content, message):
    path = write(tmp_path / "train.parquet", content)
    with pytest.raises(DataError, match=message) as refused:
        opened(path)
    assert "train.parquet" in str(refused.value)


def test_a_broken_file_is_named(tmp_path):
    path = write(tmp_path / "train.parquet", rows())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"train\.parquet|objects"):
        opened(tmp_path)


def test_files_of_other_classes_are_refused(tmp_path):
    write(tmp_path / "train-0.parquet", rows())
    write(tmp_path / "train-1.parquet", rows(), features(("cat", "wolf", "owl")))
    with pytest.raises(DataError, match="different classes in their metadata"):
        opened(tmp_path)


def test_what_is_converted_has_the_same_bytes_boxes_and_ids(tmp_path):
    content = coco(5)
    content["annotations"][0].update(bbox=[4.37, 6.11, 20.29, 10.03], area=77.5)
    content["annotations"][3]["iscrowd"] = 1
    del content["annotations"][4:6]
    source = opened(write_coco(tmp_path / "in", train=content))
    paths = convert_detection(
        DetectionDataConfig(source=str(tmp_path / "in")), tmp_path / "out", shard_bytes=15_000
    )
    assert len(paths) > 2 and paths[0].name.startswith("train-00000-of-")
    data = opened(tmp_path / "out")
    assert data.classes == source.classes
    for ours, theirs in ((source.train, data.train), (source.validation, data.validation)):
        assert sorted(theirs.picture_ids) == sorted(ours.picture_ids)
        for number, own in enumerate(ours.picture_ids):
            other = theirs.picture_ids.index(own)
            piece = next(piece for piece in theirs.pictures.pieces(None) if other in piece)
            (found,) = theirs.pictures.fetch(piece[piece == other])
            assert found.read().content == png(number)
            one, two = ours.boxes.of_picture(number), theirs.boxes.of_picture(other)
            for name in ("boxes_N4", "labels_N", "areas_N", "is_crowd_N"):
                np.testing.assert_array_equal(
                    getattr(ours.boxes, name)[one], getattr(theirs.boxes, name)[two]
                )
            assert ours.sizes_P2[number].tolist() == theirs.sizes_P2[other].tolist()


def test_converted_boxes_keep_their_decimals():
    xywh_N4 = np.random.default_rng(0).uniform(0, 600, (2000, 4)).round(2)
    corners_N4 = np.concatenate([xywh_N4[:, :2], xywh_N4[:, :2] + xywh_N4[:, 2:]], axis=1)
    np.testing.assert_array_equal(shortest_xywh(corners_N4.astype(np.float32)), xywh_N4)


def test_texts_as_picture_ids_survive_conversion(tmp_path):
    content = coco(2)
    for record in content["images"]:
        record["id"] = f"p{record['id']}"
    for record in content["annotations"]:
        record["image_id"] = f"p{record['image_id']}"
    write_coco(tmp_path / "in", train=content)
    convert_detection(DetectionDataConfig(source=str(tmp_path / "in")), tmp_path / "out", shard_bytes=10**9)
    assert sorted(opened(tmp_path / "out").train.picture_ids) == ["p100", "p101"]


def test_the_command_converts_a_coco_folder(tmp_path):
    write_coco(tmp_path / "in")
    arguments = ["convert", str(tmp_path / "in"), str(tmp_path / "out")]
    ended = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert ended.exit_code == 0, ended.output
    told = re.sub(r"\s+", " ", ended.output)
    assert "6 pictures (4 for train, 2 for validation) with 12 boxes of 3 classes in 2 shards" in told
    assert opened(tmp_path / "out").train.num_pictures == 4
    again = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert again.exit_code == 2 and "not an empty folder" in again.output


def test_a_class_file_is_refused_where_classes_come_with_the_boxes(tmp_path):
    write_coco(tmp_path / "in")
    (tmp_path / "names.txt").write_text("cat\n")
    ended = CliRunner().invoke(
        app,
        ["convert", str(tmp_path / "in"), str(tmp_path / "out"), "--classes", str(tmp_path / "names.txt")],
    )
    assert ended.exit_code == 2 and "--classes" in ended.output
