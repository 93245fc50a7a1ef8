"""Labels that lie beside the images, as in WebDataset tars, become the classes of a conversion."""

from __future__ import annotations

import io
import logging
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from raynas.cli.main import app
from raynas.data import DataConfig, load_split
from raynas.data.stream import EvalTransform, ImageIndex
from raynas.data.stream.images import ImageSet
from raynas.data.stream.members import find_members
from raynas.errors import DataError
from raynas.programs.train.config import TrainDataConfig
from raynas.programs.train.data import find_data

from .stream_sets import number_of, picture_bytes, write_tar, write_tree


def raynas(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "400"})


def samples(labels: list[str], *, folder: str = "", first: int = 0, kind: str = "png") -> dict[str, bytes]:
    """Sample i has the key 00000i, a picture of colour i and a .cls file."""
    files: dict[str, bytes] = {}
    for number, label in enumerate(labels, first):
        files[f"{folder}{number:06}.{kind}"] = picture_bytes(number)
        files[f"{folder}{number:06}.cls"] = label.encode()
    return files


def labels_of(images: ImageSet | None) -> dict[int, int]:
    """The label of each picture, by its colour."""

    assert images is not None
    found: dict[int, int] = {}
    transform = EvalTransform(8, 1.0)
    for numbers_N in images.pieces(None):
        piece = images.piece(numbers_N).read()
        for image, label in zip(piece.images, piece.labels_N, strict=True):
            found[number_of(transform(image, np.random.default_rng(0)))] = int(label)
    return found


def converted(source: object, out: Path, *options: object) -> ImageIndex:
    ended = raynas("convert", source, out, *options)
    assert ended.exit_code == 0, ended.output
    return ImageIndex.find(str(out))


def test_d11_numbers_in_cls_files_are_the_labels(tmp_path):
    write_tar(tmp_path / "set.tar", samples(["2", "0", "1\n", " 1 "], folder="train/"))
    index = converted(tmp_path / "set.tar", tmp_path / "out")
    assert labels_of(index.train) == {0: 2, 1: 0, 2: 1, 3: 1}
    assert (index.num_classes, index.class_names) == (3, None)


def test_d11_numbers_keep_their_order_beyond_nine(tmp_path):
    write_tar(tmp_path / "set.tar", samples([str(number) for number in range(12)]))
    index = converted(tmp_path / "set.tar", tmp_path / "out")
    assert labels_of(index.train) == {number: number for number in range(12)}


def test_d11_names_in_cls_files_are_the_classes(tmp_path):
    write_tar(tmp_path / "set.tar", samples(["owl", "tabby cat", "owl", "K\u00e4fer"], folder="train/"))
    index = converted(tmp_path / "set.tar", tmp_path / "out")
    assert index.class_names == ("K\u00e4fer", "owl", "tabby cat")
    assert labels_of(index.train) == {0: 1, 1: 2, 2: 1, 3: 0}


@pytest.mark.parametrize("kind", ["jpg", "JPEG", "webp", "png"])
def test_d11_images_of_any_kind_have_labels(tmp_path, kind):
    files = samples(["0", "1", "1"], kind=kind)
    members = find_members(str(write_tar(tmp_path / "set.tar", files)))["train"]
    assert [(member.class_name, member.is_numbered) for member in members] == [
        ("0", True),
        ("1", True),
        ("1", True),
    ]


KEYS: dict[str, dict[str, bytes]] = {
    "with dots": {"a.b.001.png": b"", "a.b.001.cls": b"0", "a.b.002.png": b"", "a.b.002.cls": b"1"},
    "of WebDataset": {"1.input.png": b"", "1.cls": b"0", "2.input.png": b"", "2.output.cls": b"1"},
    "in folders": {"x/1.png": b"", "x/1.cls": b"0", "y/1.png": b"", "y/1.cls": b"1"},
    "in class folders": {"cat/1.png": b"", "cat/1.cls": b"0", "cat/2.png": b"", "cat/2.cls": b"1"},
    "from the root": {"./1.png": b"", "1.cls": b"0", "./2.png": b"", "./2.cls": b"1"},
    "labels first": {"1.cls": b"0", "2.cls": b"1", "1.png": b"", "2.png": b""},
    "in capitals": {"1.PNG": b"", "1.CLS": b"0", "2.PNG": b"", "2.Cls": b"1"},
    "text files": {"1.png": b"", "1.cls.txt": b"0", "2.png": b"", "2.cls.txt": b"1"},
    "class files": {"1.png": b"", "1.class": b"0", "2.png": b"", "2.class": b"1"},
    "JSON": {"1.png": b"", "1.json": b'{"label": 0, "width": 8}', "2.png": b"", "2.json": b'{"label": "1"}'},
    "bare JSON": {"1.png": b"", "1.json": b"0", "2.png": b"", "2.json": b"1"},
    "JSON and cls": {
        "1.json": b'{"label": "n01440764"}',
        "1.cls": b"0",
        "1.png": b"",
        "2.cls": b"1",
        "2.json": b"{broken",
        "2.png": b"",
    },
    "with captions": {"1.png": b"", "1.cls": b"0", "1.txt": b"a cat", "2.png": b"", "2.cls": b"1"},
    "with a mark": {"1.png": b"", "1.cls": b"\xef\xbb\xbf0", "2.png": b"", "2.cls": b"1\r\n"},
    "of a Mac": {"1.png": b"", "1.cls": b"0", "._1.png": b"x", "._1.cls": b"x", "2.png": b"", "2.cls": b"1"},
}


@pytest.mark.parametrize("name", KEYS)
def test_d11_keys_are_matched(tmp_path, name):
    members = find_members(str(write_tar(tmp_path / "set.tar", KEYS[name])))["train"]
    assert [member.class_name for member in members] == ["0", "1"]


def test_d11_several_tar_files_are_one_set_with_splits(tmp_path):
    write_tar(tmp_path / "in" / "pets-train-000000.tar", samples(["1", "0"]))
    write_tar(tmp_path / "in" / "pets-train-000001.tar", samples(["2", "1"], first=2))
    write_tar(tmp_path / "in" / "pets-validation-000000.tar", samples(["2", "1", "0"], first=4))
    index = converted(tmp_path / "in", tmp_path / "out")
    assert labels_of(index.train) == {0: 1, 1: 0, 2: 2, 3: 1}
    assert labels_of(index.validation) == {4: 2, 5: 1, 6: 0}


def test_d11_folders_in_a_tar_file_tell_the_split(tmp_path):
    files = {**samples(["b", "a"], folder="train/"), **samples(["a", "b"], folder="val/", first=2)}
    index = converted(write_tar(tmp_path / "set.tar", files), tmp_path / "out")
    assert (labels_of(index.train), labels_of(index.validation)) == ({0: 1, 1: 0}, {2: 0, 3: 1})


def test_d11_equal_keys_in_two_tar_files_are_two_samples(tmp_path):
    for number in range(2):
        write_tar(
            tmp_path / "in" / f"{number}.tar", {"0.png": picture_bytes(number), "0.cls": b"%d" % number}
        )
    assert labels_of(converted(tmp_path / "in", tmp_path / "out").train) == {0: 0, 1: 1}


def test_d11_a_pattern_names_several_tar_files(tmp_path):
    for number in range(9, 12):
        write_tar(tmp_path / f"pets-{number:06}.tar", samples([str(number % 2)] * 2, first=2 * number))
    index = converted(f"{tmp_path}/pets-{{000009..000010}}.tar", tmp_path / "out")
    assert labels_of(index.train) == {18: 1, 19: 1, 20: 0, 21: 0}
    ended = raynas("convert", f"{tmp_path}/pets-{{000011..000012}}.tar", tmp_path / "out2")
    assert (ended.exit_code, "pets-000012.tar" in ended.output) == (2, True)
    ended = raynas("convert", f"{tmp_path}/pets-{{12..11}}.tar", tmp_path / "out2")
    assert (ended.exit_code, "from 12 to 11" in ended.output) == (2, True)


def test_d11_shards_inside_a_tar_file_are_no_classes(tmp_path):
    inner = {}
    for number in range(2):
        shard = write_tar(tmp_path / f"train-{number}.tar", samples(["0", "1"], first=2 * number))
        inner[shard.name] = shard.read_bytes()
    index = converted(write_tar(tmp_path / "in" / "all.tar", inner), tmp_path / "out")
    assert labels_of(index.train) == {0: 0, 1: 1, 2: 0, 3: 1}


def test_d11_an_unpacked_folder_is_converted_alike(tmp_path):
    write_tree(
        tmp_path / "in", {**samples(["1", "0"], folder="train/"), **samples(["0"], folder="val/", first=2)}
    )
    index = converted(tmp_path / "in", tmp_path / "out")
    assert (labels_of(index.train), labels_of(index.validation)) == ({0: 1, 1: 0}, {2: 0})


def test_d11_the_classes_file_names_numbers(tmp_path):
    write_tar(tmp_path / "set.tar", samples(["1", "0", "1"]))
    (tmp_path / "names.json").write_text('["tabby cat", "dog", "owl"]')
    index = converted(tmp_path / "set.tar", tmp_path / "out", "--classes", tmp_path / "names.json")
    assert index.class_names == ("tabby cat", "dog", "owl")
    assert labels_of(index.train) == {0: 1, 1: 0, 2: 1}
    (tmp_path / "names.json").write_text('{"1": "dog", "0": "cat"}')
    index = converted(tmp_path / "set.tar", tmp_path / "out2", "--classes", tmp_path / "names.json")
    assert index.class_names == ("cat", "dog")
    (tmp_path / "names.json").write_text('["cat"]')
    ended = raynas("convert", tmp_path / "set.tar", tmp_path / "out3", "--classes", tmp_path / "names.json")
    assert (ended.exit_code, "label 1 is beyond the 1 classes" in ended.output) == (2, True), ended.output


def test_d11_numbers_with_holes_keep_their_place_with_a_warning(tmp_path, caplog):
    write_tar(tmp_path / "set.tar", samples(["1", "3", "1", "3"]))
    with caplog.at_level(logging.WARNING):
        index = converted(tmp_path / "set.tar", tmp_path / "out")
    assert (index.num_classes, labels_of(index.train)) == (4, {0: 1, 1: 3, 2: 1, 3: 3})
    assert "without_image=2: 0, 2" in caplog.text


BAD: dict[str, tuple[dict[str, bytes], str]] = {
    "no label for one": ({**samples(["0", "1"]), "7.png": picture_bytes()}, "The image 7.png in"),
    "a number among names": (samples(["cat", "dog", "3"]), "000002.png in .* has the label 3, but"),
    "a name among numbers": (samples(["0", "1", "cat"]), "000002.png in .* has the label 'cat', but"),
    "negative": (samples(["0", "1", "-1"]), "000002.cls in .* negative"),
    "fraction": (samples(["0", "1", "1.5"]), "000002.cls in .* '1.5' is neither a whole number nor a name"),
    "empty": (samples(["0", "1", " \n"]), "000002.cls in .* it is empty"),
    "several": (samples(["0", "1", "1 2"]), "000002.cls in .* more than one label"),
    "lines": (samples(["cat", "dog", "cat\nblack"]), "000002.cls in .* more than one label"),
    "binary": ({**samples(["0", "1"]), "2.png": b"", "2.cls": b"\x80\x04K"}, "2.cls in .* not text in UTF-8"),
    "zeros": ({**samples(["0", "1"]), "2.png": b"", "2.cls": b"\x01\0\0\0"}, "2.cls in .* neither"),
    "huge": (samples(["0", "1", "1000000000"]), "1,000,000,001 classes, and there are 3 images"),
    "very huge": (samples(["0", "1", "9" * 5000]), "000002.cls in .* neither"),
    "true": ({**samples(["0", "1"]), "2.png": b"", "2.json": b'{"label": true}'}, "2.json in .* neither"),
    "broken JSON": ({"1.png": b"", "1.json": b'{"label": 0}', "2.png": b"", "2.json": b"{"}, "2.json in"),
    "one class of number 0": (samples(["0", "0"]), "There is one class"),
    "one name": (samples(["cat", "cat"], folder="train/"), "There is one class, 'cat'"),
    "captions": (
        {"train/0.png": b"", "train/0.txt": b"a cat", "train/1.png": b"", "train/1.json": b'{"a": 1}'},
        "There is one class, 'train'",
    ),
    "two images": (
        {"0.left.png": b"", "0.right.png": b"", "0.cls": b"1", "1.png": b"", "1.cls": b"0"},
        "two images, 0.left.png and 0.right.png",
    ),
    "two labels": ({"0.png": b"", "0.a.cls": b"1", "0.b.cls": b"0"}, "0.png in .* has 2 labels"),
    "labels elsewhere": ({"a/0.png": b"", "a/1.png": b"", "labels/0.cls": b"0"}, "a/0.png in .* no label"),
    "a class of validation alone": (
        {**samples(["a", "b"], folder="train/"), **samples(["c"], folder="val/", first=2)},
        "The class 'c' of the validation images",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_d11_labels_of_no_use_are_named_and_nothing_is_written(tmp_path, name):
    files, message = BAD[name]
    write_tar(tmp_path / "set.tar", files)
    ended = raynas("convert", tmp_path / "set.tar", tmp_path / "out")
    assert ended.exit_code == 2, ended.output
    assert re.search(message, " ".join(ended.output.split())), ended.output
    assert not (tmp_path / "out").exists()


def test_d11_a_label_that_is_there_twice_is_named(tmp_path):

    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for name, content in [("0.png", b""), ("0.cls", b"0"), ("0.cls", b"1")]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(DataError, match=r"has 0\.cls twice, with the labels 0 and 1"):
        find_members(str(tmp_path / "set.tar"))


def test_d11_labels_without_an_image_are_counted(tmp_path, caplog):
    write_tar(tmp_path / "set.tar", {**samples(["0", "1"]), "7.jxl": b"", "7.cls": b"1"})
    with caplog.at_level(logging.WARNING):
        assert len(find_members(str(tmp_path / "set.tar"))["train"]) == 2
    assert "labels without an image are ignored  labels=1" in caplog.text


def test_d11_class_folders_with_other_files_stay_class_folders(tmp_path, caplog):
    files = {"cat/0.png": b"", "cat/0.json": b'{"boxes": [1]}', "dog/1.png": b"", "dog/1.txt": b"a dog"}
    write_tar(tmp_path / "set.tar", files)
    with caplog.at_level(logging.WARNING):
        members = find_members(str(tmp_path / "set.tar"))["train"]
    assert [member.class_name for member in members] == ["cat", "dog"]
    assert "classes are those of folders  other_files=2" in caplog.text


def in_memory(source: str) -> object:
    return load_split(DataConfig(source=source), seed=0)


def streamed(source: str) -> object:
    return find_data(TrainDataConfig(source=source, streamed=True), seed=0)


@pytest.mark.parametrize("find", [in_memory, streamed])
def test_d11_training_on_such_tar_files_is_refused_and_names_convert(tmp_path, find):
    tar = write_tar(tmp_path / "in" / "train-000000.tar", samples(["0", "1"]))
    for source in (tmp_path / "in", tar):
        with pytest.raises(DataError, match="raynas convert"):
            find(str(source))


@pytest.mark.parametrize("find", [in_memory, streamed])
def test_d11_training_on_an_unpacked_set_is_refused_and_names_convert(tmp_path, find):
    for split in ("train", "val"):
        for number, folder in enumerate(("x", "y")):
            labels = [str(label) for label in range(10)]
            write_tree(tmp_path / split / folder, samples(labels, first=10 * number))
    with pytest.raises(DataError, match=r"000000\.png has a label beside it, 000000\.cls.* 'raynas convert'"):
        find(str(tmp_path))
