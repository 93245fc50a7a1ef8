"""Folders as people have them, each with what it means, for tests that read them in every way."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.data.builders import encoded, picture, write_parquet
from tests.data.stream.stream_sets import write_shard, write_tree


class Meaning(NamedTuple):
    """What a folder means: images of each class, and a part of what is said to be left out.

    Args:
        error: a pattern of the message, where the folder is refused.
    """

    train: Mapping[str, int] = {}
    validation: Mapping[str, int] = {}
    left_out: str = ""
    error: str = ""


Build = Callable[[Path], object]


def noise(name: str) -> bytes:
    """A picture of noise, which the name decides."""
    pixels_HWC = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels_HWC))


def tree(*folders: str, **counts: int) -> Build:
    """Folders of ten pictures each, or as many as `counts` says; a name that ends in .png is one picture."""

    def build(root: Path) -> None:
        for name in folders:
            names = [name] if name.endswith(".png") else [f"{name}/{i}.png" for i in range(10)]
            write_tree(root, {file: noise(file) for file in names})
        for name, count in counts.items():
            write_tree(root, {f"{name}/{i}.png": noise(f"{name}/{i}") for i in range(count)})

    return build


def with_empty(build: Build, *folders: str) -> Build:
    def build_with_empty(root: Path) -> None:
        build(root)
        for name in folders:
            (root / name).mkdir(parents=True)

    return build_with_empty


def with_file(build: Build, name: str, content: bytes) -> Build:
    def build_with_file(root: Path) -> None:
        build(root)
        write_tree(root, {name: content})

    return build_with_file


def shards(**files: int) -> Build:
    """Parquet files of so many rows."""

    def build(root: Path) -> None:
        for name, count in files.items():
            write_shard(root / f"{name}.parquet", range(count))

    return build


TWO, TEN = {"cat": 10, "dog": 10}, {"sea": 10, "street": 10}
PARTS = tuple(f"{part}/{part}/{name}" for part in ("seg_train", "seg_test") for name in TEN)

TREES: dict[str, tuple[Build, Meaning]] = {
    "classes": (tree(*TWO), Meaning(TWO)),
    "empty class": (with_empty(tree(*TWO), "eel"), Meaning(error="sub folders eel of .* have no images")),
    "empty class in train": (
        with_empty(tree("train/cat", "train/dog", "val/cat", "val/dog"), "train/eel"),
        Meaning(error="sub folders eel of .* have no images"),
    ),
    "loose images": (tree(*TWO, "plot.png"), Meaning(TWO, left_out="1 image in no class folder (plot.png)")),
    "loose images in train": (
        tree("train/cat", "train/dog", "train/plot.png"),
        Meaning(TWO, left_out="1 image of train/ in no class folder (train/plot.png)"),
    ),
    "loose images alone": (tree("a.png", "b.png"), Meaning(error="a.png has no class")),
    "nothing": (with_empty(lambda root: root.mkdir()), Meaning(error="neither Parquet files nor images")),
    "train and val": (tree("train/cat", "train/dog", "val/cat", "val/dog"), Meaning(TWO, TWO)),
    "Training and Testing": (
        tree("Training/cat", "Training/dog", "Testing/cat", "Testing/dog"),
        Meaning(TWO, TWO),
    ),
    "TRAIN": (tree("TRAIN/cat", "TRAIN/dog"), Meaning(TWO)),
    "TrainImages": (tree("TrainImages/cat", "TrainImages/dog", "TestImages/cat"), Meaning(TWO, {"cat": 10})),
    "val and test": (
        tree("train/cat", "train/dog", "val/cat", "val/dog", "test/cat"),
        Meaning(TWO, TWO, left_out="10 images in test/, a test set"),
    ),
    "a folder beside the splits": (
        tree(*PARTS, "seg_pred"),
        Meaning(TEN, TEN, left_out="10 images in seg_pred/, which is no part"),
    ),
    "a class called train": (tree("car", "plane", "train"), Meaning({"car": 10, "plane": 10, "train": 10})),
    "a class called train, with folders": (
        tree("car", "plane", "train/steam", "train/diesel"),
        Meaning({"car": 10, "plane": 10, "train": 20}),
    ),
    "a class called bullet_train, with folders": (
        tree("car", "bullet_train/side", "bullet_train/front"),
        Meaning({"bullet_train": 20, "car": 10}),
    ),
    "unlabelled images": (
        tree("train/cat", "train/dog", "unlabeled"),
        Meaning(TWO, left_out="10 images in unlabeled/"),
    ),
    "a test set without classes": (
        tree("train/cat", "train/dog", "val/cat", "val/dog", "test/images"),
        Meaning(TWO, TWO, left_out="10 images in test/"),
    ),
    "a flat test set": (
        tree("train/cat", "train/dog", "test"),
        Meaning(TWO, left_out="10 images of test/ in no class folder"),
    ),
    "parts without classes": (tree("train", "test"), Meaning(error="parts of a data set and not classes")),
    "only a test set": (tree("test/cat", "test/dog"), Meaning(error="parts of a data set and not classes")),
    "hidden files": (
        with_file(with_file(tree(*TWO), "cat/._0.png", b"fork"), ".cache/x/0.png", b"no image"),
        Meaning(TWO),
    ),
    "__MACOSX": (
        with_file(tree(*TWO), "__MACOSX/cat/0.png", b"fork"),
        Meaning(TWO, left_out="1 image in folders that systems make"),
    ),
    "a picture of one pixel": (
        with_file(tree(*TWO), "cat/0.png", encoded(picture(size=(1, 1)))),
        Meaning(error=r"cat/0\.png has 1x1 pixels; both sides must have at least 4"),
    ),
    "an archive's folder": (
        tree("archive/train/cat", "archive/train/dog", "archive/val/cat", "archive/val/dog", "notes.png"),
        Meaning(TWO, TWO, left_out="in no class folder (notes.png)"),
    ),
    "folders in classes": (tree("cat/old", "cat/new", "dog/old", "dog"), Meaning({"cat": 20, "dog": 20})),
    "a class that validation lacks": (
        tree("train/cat", "train/dog", "val/cat"),
        Meaning(TWO, {"cat": 10}),
    ),
    "a single class": (tree("cat"), Meaning(error="has 1 class .cat.; classification needs at least 2")),
}
"""Folders of class folders."""

THREE = {"cat": 10, "dog": 10, "owl": 10}

FILES: dict[str, tuple[Build, Meaning]] = {
    "shards": (shards(train=30, test=3), Meaning(THREE, {"cat": 1, "dog": 1, "owl": 1})),
    "shards whose names tell no part": (
        shards(train=30, rest=3),
        Meaning(THREE, left_out="1 Parquet file whose names tell no part"),
    ),
    "only a test shard": (shards(test=30), Meaning(error="named as test or validation data: test.parquet")),
    "plain bytes": (
        lambda root: write_shard(root / "a.parquet", range(30), column="jpg", is_plain=True),
        Meaning(THREE),
    ),
    "a class without an image": (
        lambda root: write_parquet(root / "a.parquet", class_names=("cat", "dog", "eel")),
        Meaning(TWO),
    ),
    "numbers for classes": (
        lambda root: write_parquet(root / "a.parquet", class_names=None, labels=[1, 2] * 10),
        Meaning({"1": 10, "2": 10}),
    ),
}
"""Folders of Parquet files."""
