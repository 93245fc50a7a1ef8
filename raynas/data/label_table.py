"""Images whose labels are in a CSV file beside them, such as labels.csv with the columns path and label.

The file is read as text alone. Its paths are looked up among the images that were listed below its folder, so
that none can lead out of it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from raynas.data.class_folders import IMAGE_ENDINGS, find_classes
from raynas.data.layout import LeftOut, Listing, Part, Split, list_folder, part_of_name
from raynas.data.tree_layout import ClassImage, TreeLayout, read_tree
from raynas.errors import DataError

PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path", "id")
LABEL_COLUMNS = ("label", "class", "category", "target")
SPLIT_COLUMN = "split"
_NAMES = ("labels.csv", "train.csv")
_FOLDERS = ("", "images/", "train/")
"""Folders beside the table in which a path may begin."""


@dataclass(frozen=True, slots=True)
class _Columns:
    path: int
    label: int
    split: int | None


def read_folder(folder: Path, table: Path | None = None) -> TreeLayout:
    """The classes and splits of a folder: those of its table of labels, or of its class folders.

    Args:
        table: the CSV file to read. Without it, labels.csv, train.csv or the only CSV file directly in the
            folder is read, if it has the columns and the folder doesn't have two class folders.
    Raises:
        DataError: as `find_classes` and `read_table`.
    """
    listing = list_folder(folder, IMAGE_ENDINGS)
    if table is None:
        table = find_table(folder)
        if table is None or _has_class_folders(listing):
            return find_classes(listing, str(folder))
    return read_table(table, listing)


def _has_class_folders(listing: Listing) -> bool:
    return len({image.class_name for image in read_tree(listing).splits.get("train", ())}) > 1


def find_table(folder: Path) -> Path | None:
    """The CSV file of a folder that has labels of images; None if there is none."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.is_file())
    named = [path for name in _NAMES for path in files if path.name.lower() == name]
    if named:
        return named[0]
    if len(files) != 1:
        return None
    header = next(_rows(files[0]), (0, []))[1]
    places = [_place(header, names) for names in (PATH_COLUMNS, LABEL_COLUMNS)]
    return None if None in places else files[0]


def read_table(table: Path, listing: Listing) -> TreeLayout:
    """The images of a CSV file with a header, by split, class and path; labels are names of classes.

    Args:
        listing: the images below the table's folder.
    Raises:
        DataError: a column is missing, or a row has a path, label or split of no use; names file and line.
    """
    rows = _rows(table)
    columns = _columns(table, next(rows, (0, []))[1])
    files = frozenset(listing.files)
    parts: dict[Part, dict[str, ClassImage]] = {}
    lines: dict[str, int] = {}
    for line, cells in rows:
        where = f"Line {line} of {table}"
        if len(cells) <= max(columns.path, columns.label, columns.split or 0):
            raise DataError(f"{where} has {len(cells)} columns, fewer than the header. Complete it.")
        path, label = _image(cells[columns.path].strip(), files, where), cells[columns.label].strip()
        if not label:
            raise DataError(f"{where}: the image {path!r} has no label. Give one, or remove the line.")
        if path in lines:
            raise DataError(f"{where} names the image {path!r} again, after line {lines[path]}. Remove one.")
        lines[path] = line
        part = "train" if columns.split is None else _part(cells[columns.split].strip(), where)
        parts.setdefault(part, {})[path] = ClassImage(path, label)
    return _layout(table, parts, [file for file in listing.files if file not in lines])


def _layout(table: Path, parts: dict[Part, dict[str, ClassImage]], rest: Sequence[str]) -> TreeLayout:
    if "train" not in parts:
        raise DataError(
            f"{table} has no row for training. Give rows, with the split 'train' if it has splits."
        )
    chosen: dict[Split, Part] = {"train": "train"}
    held_out: Part = "validation" if "validation" in parts else "test"
    if held_out in parts:
        chosen["validation"] = held_out
    left_out = [LeftOut(len(rest), "image", f"that {table.name} doesn't name", rest[0])] if rest else []
    if "test" in parts and held_out != "test":
        test = list(parts["test"])
        left_out.append(LeftOut(len(test), "image", "of a test set that is not needed", test[0]))
    return TreeLayout(
        splits={
            split: sorted(parts[part].values(), key=lambda image: (image.class_name, image.path))
            for split, part in chosen.items()
        },
        places={split: f"split {part}" for split, part in chosen.items() if len(parts) > 1},
        left_out=tuple(left_out),
        empty_classes=(),
        kind=f"images with labels in {table.name}",
    )


def _rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, cells) of each line that is not empty."""
    try:
        with open(table, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            for cells in reader:
                if any(cells):
                    yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{table} can't be read as a CSV file in UTF-8: {error}. Restore it, or write it anew."
        ) from error


def _place(header: Sequence[str], names: Sequence[str]) -> int | None:
    """Number of the first column that has one of the names, in their order."""
    shown = [cell.strip().lower() for cell in header]
    return next((shown.index(name) for name in names if name in shown), None)


def _columns(table: Path, header: Sequence[str]) -> _Columns:
    path, label = _place(header, PATH_COLUMNS), _place(header, LABEL_COLUMNS)
    if path is None or label is None:
        kind, names = ("path", PATH_COLUMNS) if path is None else ("label", LABEL_COLUMNS)
        raise DataError(
            f"Line 1 of {table} has no column for the {kind} of an image, but "
            f"{', '.join(header) or 'nothing'}. Allowed names: {', '.join(names)}. "
            "Name the column, or put images into one folder per class."
        )
    return _Columns(path, label, _place(header, [SPLIT_COLUMN]))


def _image(value: str, files: frozenset[str], where: str) -> str:
    """The listed image that a cell names, perhaps without its ending."""
    path = PurePosixPath(value)
    if path.is_absolute() or PureWindowsPath(value).drive or ".." in path.parts:
        raise DataError(
            f"{where}: the path {value!r} leads out of the folder. Allowed are paths below it, without '..'."
        )
    for folder in _FOLDERS:
        for ending in ("", *IMAGE_ENDINGS):
            if (name := f"{folder}{path}{ending}") in files:
                return name
    raise DataError(
        f"{where}: there is no image {value!r} below the file's folder. Paths begin in that folder, in "
        f"images/ or in train/, and end in {', '.join(IMAGE_ENDINGS)}. Correct the path, or remove the line."
    )


def _part(value: str, where: str) -> Part:
    part = part_of_name(value)
    if part is None:
        raise DataError(f"{where}: the split {value!r} is unknown. Allowed: train, val, test.")
    return part
