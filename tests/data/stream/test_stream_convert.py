"""Class folders and tar files are converted into shards with the same bytes and labels."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from raynas.cli.main import app
from raynas.data.stream import ImageIndex
from raynas.data.stream.convert import convert_to_shards
from raynas.data.stream.images import ImageSet
from raynas.data.stream.members import find_members
from raynas.errors import DataError

from .stream_sets import CLASSES, picture_bytes, write_tar, write_tree

FILES = {
    f"{split}/{name}/{split}_{place}_{number}.png": picture_bytes(100 * place + number, size=9)
    for split in ("train", "val")
    for place, name in enumerate(CLASSES)
    for number in range(5 if split == "train" else 2)
}


def raynas(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def contents(images: ImageSet | None) -> set[tuple[bytes | None, str]]:
    assert images is not None and images.class_names is not None
    found = set()
    for numbers in images.pieces(None):
        piece = images.piece(numbers).read()
        found |= {(image.content, images.class_names[label])
                  for image, label in zip(piece.images, piece.labels_N, strict=True)}  # fmt: skip
    return found


def expected(split: str) -> set[tuple[bytes, str]]:
    return {(content, name.split("/")[1]) for name, content in FILES.items() if name.startswith(split)}


def tar_of_tars(path: Path) -> Path:
    """A tar file of one tar file per class, like ILSVRC2012_img_train.tar."""
    inner = {}
    for place, name in enumerate(CLASSES):
        write_tar(path.parent / "inner" / f"{name}.tar", {
            f"{name}_{number}.png": picture_bytes(100 * place + number, size=9) for number in range(5)
        })  # fmt: skip
        inner[f"{name}.tar"] = (path.parent / "inner" / f"{name}.tar").read_bytes()
    return write_tar(path, inner)


def flat_tars(folder: Path) -> Path:
    for split in ("train", "val"):
        files = {name.partition("/")[2]: FILES[name] for name in FILES if name.startswith(split)}
        write_tar(folder / f"{split}.tar", files)
    return folder


SOURCES: dict[str, Callable[[Path], Path]] = {
    "tree": lambda root: write_tree(root / "in", FILES),
    "tar per split": lambda root: flat_tars(root / "in"),
    "one tar": lambda root: write_tar(root / "in.tar", FILES),
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES.keys())
def test_what_is_converted_has_the_same_bytes_and_classes(tmp_path, make):
    ended = raynas("convert", make(tmp_path), tmp_path / "out")
    assert ended.exit_code == 0, ended.output
    index = ImageIndex.find(str(tmp_path / "out"))
    assert contents(index.train) == expected("train")
    assert contents(index.validation) == expected("val")
    assert index.class_names == CLASSES


def test_a_tar_file_per_class_inside_a_tar_file_is_read(tmp_path):
    ended = raynas("convert", tar_of_tars(tmp_path / "ILSVRC2012_img_train.tar"), tmp_path / "out")
    assert ended.exit_code == 0, ended.output
    assert "15 images (15 for train) of 3 classes in 1 shards" in ended.output
    assert contents(ImageIndex.find(str(tmp_path / "out")).train) == expected("train")


def test_shards_have_about_the_asked_size_and_the_usual_names(tmp_path):
    content = picture_bytes(size=64, kind="BMP")
    write_tree(tmp_path / "in", {f"{name}/{i}.bmp": content for name in CLASSES for i in range(40)})
    splits = find_members(str(tmp_path / "in"))
    names = dict(zip(CLASSES, CLASSES, strict=True))
    shards = convert_to_shards(splits, tmp_path / "out", class_names=names, shard_bytes=30 * len(content))
    assert [shard.name for shard in shards] == [f"train-{n:05}-of-00004.parquet" for n in range(4)]
    counts = [ImageIndex.find(str(shard)).train.num_images for shard in shards]
    assert counts == [30] * 4
    images = ImageIndex.find(str(shards[0])).train
    labels_N = images.piece(images.pieces(None)[0]).read().labels_N
    assert len(np.unique(labels_N)) == 3


def test_the_classes_file_gives_order_and_names(tmp_path):
    write_tree(tmp_path / "in", FILES)
    (tmp_path / "names.txt").write_text("owl Strix aluco, tawny owl\ncat\ndog Canis\n")
    ended = raynas("convert", tmp_path / "in", tmp_path / "out", "--classes", tmp_path / "names.txt")
    assert ended.exit_code == 0, ended.output
    assert ImageIndex.find(str(tmp_path / "out")).class_names == ("Strix aluco, tawny owl", "cat", "Canis")
    assert list(json.loads((tmp_path / "out" / "classes.json").read_text())) == ["owl", "cat", "dog"]


def gzipped(root: Path) -> Path:
    with tarfile.open(root / "in.tar.gz", "w:gz"):
        pass
    return root / "in.tar.gz"


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda root: root / "in", "not a path"),
    "flat tar": (lambda root: write_tar(root / "in.tar", {"0.png": picture_bytes()}), "has no class"),
    "outside": (lambda root: write_tar(root / "in.tar", {"../0.png": picture_bytes()}), "has no class"),
    "empty tar": (lambda root: write_tar(root / "in.tar", {"a/b.txt": b""}), "no images"),
    "compressed": (gzipped, "Decompress it"),
    "no image": (
        lambda root: write_tree(root / "in", {"a/0.png": b"PNG", "b/1.png": b""}),
        "can't be decoded",
    ),
    "classes": (
        lambda root: write_tree(root / "in", {"train/a/0.png": b"", "val/b/1.png": b""}),
        "class 'b'",
    ),
    "remote": (lambda root: "ftp://host/x", "scheme"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_converted_is_explained_and_leaves_nothing(tmp_path, name):
    make, message = BAD[name]
    ended = raynas("convert", make(tmp_path), tmp_path / "out")
    assert (ended.exit_code, message in ended.output) == (2, True), ended.output
    assert not list((tmp_path / "out").glob("*"))


def test_a_broken_tar_file_is_named(tmp_path):
    content = write_tar(tmp_path / "in.tar", FILES).read_bytes()
    (tmp_path / "in.tar").write_bytes(content[:3000])
    ended = raynas("convert", tmp_path / "in.tar", tmp_path / "out")
    assert (ended.exit_code, "in.tar" in ended.output) == (2, True), ended.output


def test_nothing_is_overwritten(tmp_path):
    write_tree(tmp_path / "in", FILES)
    write_tree(tmp_path / "out", {"mine.txt": b"mine"})
    ended = raynas("convert", tmp_path / "in", tmp_path / "out")
    assert (ended.exit_code, "Nothing is overwritten" in ended.output) == (2, True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_name_that_points_outside_is_never_a_path(tmp_path):
    files = {f"../../{name}/evil.png": picture_bytes() for name in CLASSES}
    members = find_members(str(write_tar(tmp_path / "deep" / "in.tar", files)))["train"]
    names = dict(zip(CLASSES, CLASSES, strict=True))
    convert_to_shards({"train": members}, tmp_path / "deep" / "out", class_names=names, shard_bytes=10**6)
    assert not list(tmp_path.rglob("evil.png"))


def test_a_link_in_a_tar_file_is_no_image(tmp_path):
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        link = tarfile.TarInfo("cat/0.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        info = tarfile.TarInfo("cat/1.png")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    assert [member.name for member in find_members(str(tmp_path / "in.tar"))["train"]] == ["1.png"]


def test_a_source_that_shrinks_meanwhile_is_named(tmp_path):
    write_tree(tmp_path / "in", FILES)
    splits = find_members(str(tmp_path / "in"))
    member = splits["train"][0]
    with open(member.file, "r+b") as file:
        file.truncate(5)
    with pytest.raises(DataError, match="truncated"):
        convert_to_shards(splits, tmp_path / "out", class_names=dict.fromkeys(CLASSES, ""), shard_bytes=10**6)
    assert not list((tmp_path / "out").iterdir())
