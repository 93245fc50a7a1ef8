"""D5: a folder means the same classes and splits in memory, streamed, converted and to the doctor."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.cli.terminal.doctor import Check, data_config, examine
from raynas.data import DataConfig, load_split
from raynas.data.folder import open_folder
from raynas.data.found import Found
from raynas.data.layout import Listing
from raynas.data.stream import ImageIndex
from raynas.data.stream.location import locate
from raynas.data.stream.members import list_members
from raynas.data.tree_layout import read_tree
from raynas.errors import DataError
from tests.data.odd_folders import FILES, TREES, TWO, Meaning, tree, with_empty

Answer = Found | str
ALL = TREES | FILES


def answer(find: Callable[[str], Found | None], source: Path) -> Answer:
    """What was found, or the message of the error."""
    try:
        found = find(str(source))
    except DataError as error:
        return str(error)
    assert found is not None
    return found


def in_memory(source: str) -> Found | None:
    return load_split(DataConfig(source=source), seed=0).found


def streamed(source: str) -> Found:
    return ImageIndex.find(source).found


def converted(source: str) -> Found:
    return list_members(source).found


def check_meaning(found: Answer, meaning: Meaning) -> None:
    if isinstance(found, str) or meaning.error:
        assert isinstance(found, str)
        assert re.search(meaning.error, found), found
        return
    left_out = "\n".join(map(str, found.left_out))
    assert dict(found.counts["train"]) == dict(meaning.train)
    assert dict(found.counts.get("validation", {})) == dict(meaning.validation)
    assert bool(found.left_out) == bool(meaning.left_out), left_out
    assert meaning.left_out in left_out


@pytest.fixture(params=ALL)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Meaning]:
    build, meaning = ALL[request.param]
    build(tmp_path / "set")
    return tmp_path / "set", meaning


def test_d5_a_folder_means_the_same_in_memory_and_streamed(case):
    root, meaning = case
    found = answer(in_memory, root)
    check_meaning(found, meaning)
    assert answer(streamed, root) == found


def data_checks(root: Path, settings: dict[str, object]) -> list[Check]:
    """What the doctor says of data, without the checks that follow and start Ray."""
    found = []
    for check in examine(data=data_config(str(root), {"data": settings}), address=None, runs=root.parent):
        found.append(check)
        if check.name == "streamed data":
            break
    return found[2:]


def test_d5_the_doctor_gives_the_same_answer_in_memory_and_streamed(case):
    root, meaning = case
    memory, _ = data_checks(root, {})
    (stream,) = data_checks(root, {"streamed": True})
    assert memory.is_ok == stream.is_ok == (not meaning.error)
    if meaning.error:
        assert memory.message == stream.message
    else:
        found = load_split(DataConfig(source=str(root)), seed=0).found
        assert found is not None
        for check in (memory, stream):
            assert check.message.splitlines()[1:-1] == found.lines()


@pytest.mark.parametrize("name", [name for name in TREES if name != "a single class"])
def test_d5_convert_finds_what_the_others_find(tmp_path, name):
    build, meaning = TREES[name]
    build(tmp_path / "set")
    found = answer(converted, tmp_path / "set")
    check_meaning(found, meaning)
    assert answer(streamed, tmp_path / "set") == found


READABLE = [name for name in TREES if not TREES[name][1].error]


@pytest.mark.parametrize("name", READABLE)
def test_d5_a_tar_file_means_what_the_folder_means(tmp_path, name):
    TREES[name][0](tmp_path / "set")
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        tar.add(tmp_path / "set", arcname=".")
    assert answer(converted, tmp_path / "set.tar") == answer(streamed, tmp_path / "set")


@pytest.mark.slow
def test_d5_a_bucket_means_what_the_folder_means(tmp_path, store):
    """One bucket with a folder for each, because a connection takes a second."""
    for number, name in enumerate(READABLE):
        TREES[name][0](tmp_path / f"set{number}")
        there = ImageIndex.find(f"s3://right:secret@bucket/set{number}{store}").found
        assert there == ImageIndex.find(str(tmp_path / f"set{number}")).found, name


def test_d5_files_come_in_one_order_in_memory_streamed_and_from_a_bucket(tmp_path, store):
    names = ("a-b/0", "a/b/1", "a/b-c", "a/b", "B/0", "b/10", "b/9", "a.b/0")
    tree(*(f"set/{name}.png" for name in names))(tmp_path)
    memory = open_folder(tmp_path / "set")
    index = ImageIndex.find(str(tmp_path / "set"))
    remote = ImageIndex.find(f"s3://right:secret@bucket/set{store}")
    listed = [list(map(str, memory.files)), list(index.train.files), list(remote.train.files)]  # type: ignore[attr-defined]
    relative = [[file.partition("set/")[2] for file in files] for files in listed]
    assert relative[0] == relative[1] == relative[2]
    assert relative[0] == sorted(relative[0], key=lambda file: file.split("/"))
    np.testing.assert_array_equal(memory.labels_N, index.train.labels_N)  # type: ignore[attr-defined]


def test_d5_a_folder_beside_its_own_tar_file_is_converted_from_the_folder(tmp_path):
    tree(*TWO)(tmp_path / "set")
    (tmp_path / "set" / "set.tar.gz").write_bytes(b"compressed")
    assert converted(str(tmp_path / "set")).counts["train"] == TWO


def test_d5_tar_files_that_tell_no_part_are_shards_of_one_data_set(tmp_path):
    (tmp_path / "tars").mkdir()
    for number in range(2):
        tree(*TWO)(tmp_path / f"set{number}")
        with tarfile.open(tmp_path / "tars" / f"set-{number}.tar", "w") as tar:
            tar.add(tmp_path / f"set{number}", arcname="set")
    assert converted(str(tmp_path / "tars")).counts["train"] == {"cat": 20, "dog": 20}


def test_d5_an_empty_class_folder_is_named_wherever_it_lies(tmp_path):
    with_empty(tree("archive/cat", "archive/dog"), "archive/eel", "archive/.git")(tmp_path / "set")
    listing = locate(str(tmp_path / "set")).listing((".png",))
    assert read_tree(listing).empty_classes == ("eel",)


def test_d5_paths_alone_decide():
    layout = read_tree(Listing.of(["val/b/1.png", "train/a/0.png", "train/b/1.png", "x.png"], ["train/c"]))
    assert [(image.path, image.class_name) for image in layout.splits["train"]] == [
        ("train/a/0.png", "a"),
        ("train/b/1.png", "b"),
    ]
    assert (layout.empty_classes, layout.places) == (("c",), {"train": "train", "validation": "val"})


def test_d5_the_text_has_a_few_lines_however_many_classes(tmp_path):
    counts = {f"n{number:02}": 3 + number % 2 for number in range(30)}
    tree("train/n00", "loose.png", **{f"val/{name}": 1 for name in list(counts)[:20]}, **{
        f"train/{name}": count for name, count in counts.items()
    })(tmp_path / "set")  # fmt: skip
    assert ImageIndex.find(str(tmp_path / "set")).described() == [
        "found: class folders; 30 classes",
        "for training, in train: 112 images; 3 (n02) to 10 (n00) of a class",
        "for validation, in val: 20 images; 1 of each class",
        "images: 8x8 pixels (64 looked at)",
        "classes without an image for validation: n20, n21, n22, n23, n24 and 5 more",
        "left out: 1 image in no class folder (loose.png)",
        "streamed: 112 of them for training, 20 for validation",
    ]


@pytest.mark.parametrize("command", ["search", "train nasnet_a --epochs 1 --batch-size 8"])
def test_d5_a_dry_run_says_what_was_found_and_writes_nothing(tmp_path, command):
    tree("train/cat", "train/dog", "val/cat", "val/dog", "plot.png")(tmp_path / "set")
    arguments = [
        *command.split(),
        "--data",
        str(tmp_path / "set"),
        "--dry-run",
        "--out",
        str(tmp_path / "out"),
    ]
    ended = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert ended.exit_code == 0, ended.output
    for line in (
        "found: class folders; 2 classes",
        "for training, in train: 20 images; cat 10, dog 10",
        "for validation, in val: 20 images; cat 10, dog 10",
        "images: 8x8 pixels (20 looked at)",
        "left out: 1 image in no class folder (plot.png)",
        "in memory, at 8x8 pixels (data.image_size): 20 of them for training, and 20 of those in val "
        "for validation",
    ):
        assert line in ended.output
    assert not (tmp_path / "out").exists()
