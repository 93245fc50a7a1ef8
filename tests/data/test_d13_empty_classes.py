"""D13: classes without an image are named, where classes are counted from the labels."""

from __future__ import annotations

import pytest

from raynas.data import DataConfig, load_split
from raynas.data.stream import ImageIndex
from tests.data.builders import write_parquet


def in_memory(source: str) -> None:
    load_split(DataConfig(source=source), seed=0)


READERS = [in_memory, ImageIndex.find]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 2] * 10, "classes=3 without_image=1: 0;"),
        ([0, 1, 3, 5] * 5, "classes=6 without_image=2: 2, 4;"),
        ([9, 12] * 10, "classes=13 without_image=11: 0, 1, 2, 3, 4 ...;"),
    ],
)
@pytest.mark.parametrize("read", READERS)
def test_d13_labels_from_1_or_with_holes_are_named(tmp_path, read, labels, message, caplog):
    read(str(write_parquet(tmp_path / "a.parquet", labels=labels, class_names=None)))
    assert message in caplog.text


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("names", [None, ("cat", "dog")])
def test_d13_labels_without_holes_and_classes_with_names_give_no_warning(tmp_path, read, names, caplog):
    read(str(write_parquet(tmp_path / "a.parquet", class_names=names)))
    assert "without an image" not in caplog.text
