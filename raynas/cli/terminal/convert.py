"""`raynas convert`: class names, a progress bar, and a summary. raynas.data.stream.convert does the work."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from raynas.data.classes import warn_of_empty_classes
from raynas.data.layout import Split
from raynas.data.parquet_columns import Columns
from raynas.data.source_images import SourceImage
from raynas.data.stream.convert import check_empty, convert_to_shards
from raynas.data.stream.members import list_members
from raynas.detection.data.config import DetectionDataConfig
from raynas.detection.data.convert import write_shards
from raynas.detection.data.dataset import is_detection_data, open_detection
from raynas.errors import DataError, did_you_mean
from raynas.files import parse_json


def run_convert(
    source: str,
    out: Path,
    *,
    shard_mb: int,
    classes: Path | None,
    console: Console,
    columns: Columns | None = None,
    train_images: int | None = None,
) -> None:
    """Converts with a progress bar and prints a summary.

    Args:
        columns: columns of Parquet files. Defaults to the usual ones.
        train_images: number of training images, drawn at random. Defaults to all.
    Raises:
        DataError: the images, the class file or the output folder can't be used.
    """
    check_empty(out)
    if is_detection_data(source):
        _convert_boxes(source, out, shard_mb=shard_mb, classes=classes, console=console)
        return
    given = read_class_names(classes) if classes else None
    with console.status(Text(f"Listing the images of {source} ...")):
        listed = list_members(source, columns or Columns())
    splits = listed.splits if train_images is None else _with_fewer(listed.splits, train_images)
    for line in listed.found.lines():
        console.print(line)
    names = checked_classes(splits, given or listed.class_names)
    num_images = sum(len(members) for members in splits.values())
    with _progress(console) as progress:
        task = progress.add_task("writing", total=num_images)
        shards = convert_to_shards(
            splits,
            out,
            class_names=names,
            shard_bytes=shard_mb * 1_000_000,
            has_test_set=listed.has_test_set,
            report=lambda count: progress.advance(task, count),
        )
    counts = ", ".join(f"{len(members):,} for {split}" for split, members in splits.items())
    console.print(
        f"{num_images:,} images ({counts}) of {len(names):,} classes in {len(shards)} shards: {out}"
    )
    if not any(names.values()):
        console.print("The classes have numbers and no names; --classes FILE gives them names.")


def _convert_boxes(source: str, out: Path, *, shard_mb: int, classes: Path | None, console: Console) -> None:
    if classes is not None:
        raise DataError(
            f"--classes {classes} is for folders of classes, but {source} has COCO annotations, which name "
            "the classes. Leave it out."
        )
    with console.status(Text(f"Reading the boxes of {source} ...")):
        data = open_detection(DetectionDataConfig(source=source))
    splits = {
        name: split
        for name, split in (("train", data.train), ("validation", data.validation))
        if split is not None
    }
    num_pictures = sum(split.num_pictures for split in splits.values())
    with _progress(console) as progress:
        task = progress.add_task("writing", total=num_pictures)
        shards = write_shards(
            data,
            out,
            shard_bytes=shard_mb * 1_000_000,
            report=lambda count: progress.advance(task, count),
        )
    counts = ", ".join(f"{split.num_pictures:,} for {name}" for name, split in splits.items())
    num_boxes = sum(len(split.boxes) for split in splits.values())
    console.print(
        f"{num_pictures:,} pictures ({counts}) with {num_boxes:,} boxes of {len(data.classes)} classes in "
        f"{len(shards)} shards: {out}"
    )


def _with_fewer(
    splits: Mapping[Split, Sequence[SourceImage]], count: int
) -> Mapping[Split, Sequence[SourceImage]]:
    """The splits with `count` training images, drawn at random, the same each time."""
    train = splits["train"]
    if count > len(train):
        raise DataError(
            f"There are {len(train):,} training images, but --train-images {count:,} are asked for. Give at "
            "most that."
        )
    kept = sorted(random.Random(0).sample(range(len(train)), count))
    return {**splits, "train": [train[number] for number in kept]}


def read_class_names(path: Path) -> dict[str, str]:
    """The name of each class by its folder, in the order of the labels.

    Args:
        path: a JSON file with a list of folders or an object that maps folders to names, or a text file with
            a folder and optionally its name on each line, as ImageNet's LOC_synset_mapping.txt.
    Raises:
        DataError: the file can't be read, or lists a class twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        pairs = _json_pairs(text) if path.suffix.lower() == ".json" else _text_pairs(text)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"The classes in {path} can't be read: {error}. Give one class folder per line, or JSON."
        ) from error
    names = dict(pairs)
    if len(names) < len(pairs):
        raise DataError(
            f"{path} has {len(pairs)} entries but only {len(names)} classes: remove the duplicates."
        )
    return names


def _json_pairs(text: str) -> list[tuple[str, str]]:
    content = parse_json(text)
    pairs = content.items() if isinstance(content, dict) else [(name, name) for name in content]
    return [(str(folder), str(name)) for folder, name in pairs]


def _text_pairs(text: str) -> list[tuple[str, str]]:
    pairs = [line.strip().split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(pair[0], pair[-1]) for pair in pairs]


def checked_classes(
    splits: Mapping[Split, Sequence[SourceImage]], given: Mapping[str, str] | None
) -> Mapping[str, str]:
    """The given classes, or else the sorted classes of the first split.

    Where the source numbers its classes, they are those from 0 to the last label, with the given names in
    their order or without names.

    Raises:
        DataError: an image has a class that is not among them, or there is a single class.
    """
    members = [member for of_split in splits.values() for member in of_split]
    if any(member.is_numbered for member in members):
        names = _numbered_classes({int(member.class_name) for member in members}, len(members), given)
    else:
        names = _named_classes(splits, given)
    if len(names) < 2:
        raise DataError(
            f"There is one class, {next(iter(names))!r}; classification needs at least 2. Put the images "
            "into one folder per class, or a label beside each image, as 0.cls beside 0.jpg (WebDataset)."
        )
    return names


def _named_classes(
    splits: Mapping[Split, Sequence[SourceImage]], given: Mapping[str, str] | None
) -> Mapping[str, str]:
    found = {split: {member.class_name for member in members} for split, members in splits.items()}
    first = next(iter(found.values()))
    names = given or {name: name for name in sorted(first)}
    for split, classes in found.items():
        unknown = sorted(classes - set(names))
        if unknown:
            allowed = "the classes file" if given else f"the {next(iter(found))} images"
            raise DataError(
                f"The class {unknown[0]!r} of the {split} images is not in {allowed}"
                f" ({len(unknown)} such classes).{did_you_mean(unknown[0], names)} Both splits must have the "
                "same classes: correct the folders, or list all classes with --classes."
            )
    return names


def _numbered_classes(
    labels: set[int], num_images: int, given: Mapping[str, str] | None
) -> Mapping[str, str]:
    last = max(labels)
    if given is not None:
        if last >= len(given):
            raise DataError(
                f"The label {last} is beyond the {len(given)} classes of the classes file; allowed are 0 to "
                f"{len(given) - 1}. List all classes with --classes, in the order of their labels."
            )
        numbers = [str(number) for number in range(len(given))]
        # An object of JSON may have the numbers as its keys, in any order.
        ordered = [given[number] for number in numbers] if set(given) == set(numbers) else given.values()
        return dict(zip(numbers, ordered, strict=True))
    if last >= num_images:
        raise DataError(
            f"The labels go up to {last:,}, which makes {last + 1:,} classes, and there are {num_images:,} "
            "images. Use at least one image per class, or number the classes from 0 without holes."
        )
    warn_of_empty_classes("the images", labels, last + 1)
    return {str(number): "" for number in range(last + 1)}


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)
