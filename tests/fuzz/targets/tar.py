"""Tar files of images for `raynas convert`, and its file of class names."""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path
from typing import Any

from raynas.cli.terminal.convert import checked_classes, read_class_names
from raynas.data.stream.members import find_members
from tests.fuzz.mutate import json_bytes, mutated_bytes
from tests.fuzz.seeds import bombs, picture
from tests.fuzz.trial import Attempt

CLASSES: tuple[Any, ...] = (["cat", "dog"], {"cat": "Felis catus", "dog": "Canis"})
LABELLED = {
    "train/0.png": picture(),
    "train/0.cls": b"1",
    "train/1.png": picture(),
    "train/1.json": b'{"label": 0}',
}
FORMATS = (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def start(folder: Path, bomb: Path) -> Attempt:
    seeds = [tar_bytes(format) for format in FORMATS]
    seeds.append(tar_bytes(tarfile.USTAR_FORMAT, {"cat/a.png": picture(), "dog/b.png": picture()}))
    # Inside a tar file, each tar file is a class.
    seeds.append(tar_bytes(tarfile.GNU_FORMAT, {"train/cat.tar": seeds[0], "train/dog.tar": seeds[1]}))
    seeds.append(tar_bytes(tarfile.USTAR_FORMAT, LABELLED))
    lines = b"cat Felis catus\ndog Canis\n"

    def attempt(rng: random.Random) -> None:
        data, others = rng.choice(seeds), [*seeds, *bombs(bomb)]
        file = folder / "images.tar"
        file.write_bytes(mutated_bytes(rng, data, others) if rng.random() < 0.7 else data)
        names = folder / rng.choice(("classes.json", "classes.txt"))
        is_json = names.suffix == ".json"
        names.write_bytes(json_bytes(rng, rng.choice(CLASSES)) if is_json else mutated_bytes(rng, lines))
        splits = find_members(str(file))
        for member in (member for members in splits.values() for member in members[:20]):
            assert len(member.read()) == member.num_bytes
        checked_classes(splits, read_class_names(names))

    return attempt


def tar_bytes(format: int, files: dict[str, bytes] | None = None) -> bytes:
    """A tar file of these files, or of images of two classes; one name is too long for a plain header."""
    files = files or {
        "train/cat/a.png": picture(),
        "train/dog/b.png": picture(),
        f"val/cat/{'c' * 120}.png": picture(),
    }
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()
