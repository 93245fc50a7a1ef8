"""D4: links to folders are followed in memory, streamed and by convert; circles end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raynas.data.class_folders import IMAGE_ENDINGS
from raynas.data.folder import open_folder
from raynas.data.layout import files_below
from raynas.data.stream import ImageIndex
from raynas.data.stream.members import find_members
from raynas.errors import DataError
from tests.data.builders import picture, write_folder, write_parquet


def check_classes(tree: Path, expected: dict[str, int]) -> None:
    """Classes and their numbers of images are these, whoever reads the folder."""
    in_memory, streamed = open_folder(tree), ImageIndex.find(str(tree))
    found: Any = ((in_memory, in_memory), (streamed, streamed.train))
    for source, images in found:
        assert {name: (images.labels_N == i).sum() for i, name in enumerate(source.class_names)} == expected
    members = [member.class_name for member in find_members(str(tree))["train"]]
    assert {name: members.count(name) for name in members} == expected


def linked(tree: Path) -> Path:
    write_folder(tree / "set", classes=("a", "b"), per_class=4)
    write_folder(tree / "elsewhere", classes=("c",), per_class=3)
    (tree / "set" / "c").symlink_to(tree / "elsewhere" / "c", target_is_directory=True)
    return tree / "set"


def test_d4_a_class_folder_may_be_a_link(tmp_path):
    check_classes(linked(tmp_path), {"a": 4, "b": 4, "c": 3})


def test_d4_a_folder_within_a_class_the_train_folder_and_an_image_may_be_links(tmp_path):
    tree = linked(tmp_path)
    (tree / "a" / "more").symlink_to(Path("../../elsewhere/c"))
    (tree / "b" / "one.png").symlink_to(tmp_path / "elsewhere" / "c" / "000.png")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "train").symlink_to(tree)
    check_classes(tmp_path / "links", {"a": 7, "b": 5, "c": 3})


@pytest.mark.parametrize("target", [".", "..", "../..", "../a", "../../other"])
def test_d4_a_link_that_leads_back_ends(tmp_path, target, caplog):
    tree = linked(tmp_path)
    (tmp_path / "other").symlink_to(tree)
    (tree / "a" / "loop").symlink_to(target)
    check_classes(tree, {"a": 4, "b": 4, "c": 3})
    assert "a/loop reason=it leads back" in caplog.text


def test_d4_two_folders_that_lead_to_each_other_end(tmp_path):
    for name, target in (("x", "y"), ("y", "x")):
        (tmp_path / name).mkdir()
        picture().save(tmp_path / name / "0.png")
        (tmp_path / name / "other").symlink_to(tmp_path / target)
    assert len(files_below(tmp_path, IMAGE_ENDINGS)) == 4


@pytest.mark.parametrize("name", ["d", "a/000.jpg"])
@pytest.mark.parametrize("read", [open_folder, ImageIndex.find, find_members])
def test_d4_a_link_that_leads_nowhere_is_named(tmp_path, name, read):
    tree = linked(tmp_path)
    (tree / name).symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=rf"The link .*{name} leads nowhere: .*gone.* Restore"):
        read(tree if read is open_folder else str(tree))


def test_d4_linked_folders_of_shards_are_streamed(tmp_path):
    write_parquet(tmp_path / "elsewhere" / "train.parquet")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train").symlink_to(tmp_path / "elsewhere")
    assert ImageIndex.find(str(tmp_path / "set")).num_train_images == 20
