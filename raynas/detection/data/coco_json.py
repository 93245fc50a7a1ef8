"""Reads the annotations of a COCO file: one pass, record by record, into arrays.

A file of COCO has 450 MB and 860,000 boxes, most of it outlines of objects. No more than one record of it
exists as a dict at a time. The file is not trusted: every value that is kept is checked.
"""

# Shapes: P pictures, N boxes, K classes.

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raynas.detection.data.json_walk import JsonWalk
from raynas.errors import DataError, shortened

Id = int | str
"""Identifies a picture or a class in a data set, as its file has it."""

LISTS = ("images", "annotations", "categories")
MAX_NUMBER = 1e30
"""Largest number of a box or area: sums of such numbers are 32-bit floats still."""
_LARGEST_SIDE = 2**31 - 1
_LARGEST_INTEGER = 2**63 - 1
_NEIGHBOURS = {"segments_info": "of panoptic segmentation", "caption": "of captions"}


@dataclass(frozen=True, slots=True, eq=False)
class CocoRecords:
    """The records of a file, checked one by one, but not against each other.

    Args:
        file: name of the file in messages.
        widths_P: pixels, or 0 where the file doesn't tell; heights_P likewise.
        picture_of_N: index of each box's picture id in `box_picture_ids`; class_of_N likewise.
        boxes_N4: left, top, width and height as in the file, float64; NaN where a number is missing.
        areas_N: square pixels; NaN where the file doesn't tell.
        annotation_ids: of the boxes, None where one has none.
        list_name: what the boxes are called in messages.
    """

    file: str
    picture_ids: list[Id]
    file_names: list[str]
    widths_P: NDArray[np.int64]
    heights_P: NDArray[np.int64]
    class_ids: list[Id]
    class_names: list[str]
    box_picture_ids: list[Id]
    box_class_ids: list[Id]
    picture_of_N: NDArray[np.int64]
    class_of_N: NDArray[np.int64]
    boxes_N4: NDArray[np.float64]
    areas_N: NDArray[np.float64]
    is_crowd_N: NDArray[np.bool_]
    annotation_ids: list[Id | None]
    list_name: str = "annotations"

    def box(self, index: int) -> str:
        """Name of a box in messages, by its place in the file, its id and its picture."""
        own = self.annotation_ids[index]
        picture = self.box_picture_ids[self.picture_of_N[index]]
        return f"{self.list_name}[{index}]{'' if own is None else f' (id {own!r})'} of picture {picture!r}"


def read_coco(content: bytes, file: str) -> CocoRecords:
    """Reads annotations in COCO's format.

    Args:
        file: name of the file in messages.
    Raises:
        DataError: it is no JSON, no COCO, or a value can't be used; the message names file, record and value.
    """
    if content[:2] == b"\x1f\x8b":
        raise DataError(f"{file} is compressed with gzip. Unpack it first.")
    try:
        # A byte-order mark is what some Windows programs begin a file with.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 text: {error.reason} at byte {error.start:,}. Annotations are a JSON file; "
            "download or export it again."
        ) from error
    return _Reader(text, file).read()


@dataclass(slots=True)
class _Gathered:
    """What has been read so far; numbers in arrays of the standard library, because those can grow."""

    picture_ids: list[Id] = field(default_factory=list)
    file_names: list[str] = field(default_factory=list)
    widths: array[int] = field(default_factory=lambda: array("q"))
    heights: array[int] = field(default_factory=lambda: array("q"))
    class_ids: list[Id] = field(default_factory=list)
    class_names: list[str] = field(default_factory=list)
    annotation_ids: list[Id | None] = field(default_factory=list)
    box_pictures: dict[Id, int] = field(default_factory=dict)
    box_classes: dict[Id, int] = field(default_factory=dict)
    picture_of_box: array[int] = field(default_factory=lambda: array("q"))
    class_of_box: array[int] = field(default_factory=lambda: array("q"))
    boxes: array[float] = field(default_factory=lambda: array("d"))
    areas: array[float] = field(default_factory=lambda: array("d"))
    crowds: array[int] = field(default_factory=lambda: array("b"))


class _Reader:
    """Takes the records of the text; only one is in memory as a dict."""

    def __init__(self, text: str, file: str) -> None:
        self.walk = JsonWalk(text, file)
        self.found = _Gathered()
        self._error = self.walk.error
        self._where = ""

    def read(self) -> CocoRecords:
        self._check_start()
        seen: list[str] = []
        for name in self.walk.members():
            if name in seen and name in LISTS:
                raise self._error(f"has {name!r} twice. Join the two lists, or remove one")
            seen.append(name)
            if name in LISTS:
                self._read_list(name)
            else:
                self.walk.value()
        if self.walk.next():
            raise self._error(
                f"has more text after its end, at character {self.walk.place:,}. Export it again"
            )
        missing = [name for name in LISTS if name not in seen]
        if missing:
            names = ", ".join(repr(name) for name in seen) or "nothing"
            raise self._error(
                f"has no list {missing[0]!r}; it has {shortened(names, 200)}. Allowed is COCO's format with "
                "the lists images, annotations and categories, as in instances_train2017.json"
            )
        return self._records()

    def _check_start(self) -> None:
        first = self.walk.next()
        if not first:
            raise self._error("is empty. Download or export it again")
        if first == "[":
            raise self._error(
                "is a list. Allowed is one object with the lists images, annotations and categories; a list "
                "of boxes with scores is the answer of a detector and no truth"
            )
        if first != "{":
            start = self.walk.text[self.walk.place : self.walk.place + 20]
            raise self._error(f"begins with {start!r} and is no JSON object. Give COCO's annotations")

    def _read_list(self, name: str) -> None:
        if self.walk.next() != "[":
            raise self._error(f"has {name!r}, but it is no list. Give it as a list of objects")
        read = {"images": self._picture, "annotations": self._box, "categories": self._category}[name]
        for index in self.walk.elements():
            self._where = f"{name}[{index}]"
            record = self.walk.value()
            if not isinstance(record, dict):
                raise self._wrong("", record, "an object")
            read(record)

    def _picture(self, record: dict[str, Any]) -> None:
        found = self.found
        found.picture_ids.append(self._id(record, "id"))
        self._where += f" (id {found.picture_ids[-1]!r})"
        found.file_names.append(self._name(record, "file_name"))
        found.widths.append(self._side(record, "width"))
        found.heights.append(self._side(record, "height"))

    def _category(self, record: dict[str, Any]) -> None:
        number = self._id(record, "id")
        self.found.class_ids.append(number)
        self._where += f" (id {number!r})"
        self.found.class_names.append(self._name(record, "name") if "name" in record else str(number))

    def _box(self, record: dict[str, Any]) -> None:
        found = self.found
        own = self._id(record, "id") if record.get("id") is not None else None
        found.annotation_ids.append(own)
        if own is not None:
            self._where += f" (id {own!r})"
        picture = self._id(record, "image_id")
        if "bbox" not in record:
            other = next((f": it is a file {what}" for key, what in _NEIGHBOURS.items() if key in record), "")
            raise self._error(
                f"has no 'bbox' in {self._where}{other}. Give a file with boxes, such as "
                "instances_train2017.json"
            )
        kind = self._id(record, "category_id")
        found.picture_of_box.append(found.box_pictures.setdefault(picture, len(found.box_pictures)))
        found.class_of_box.append(found.box_classes.setdefault(kind, len(found.box_classes)))
        found.boxes.extend(self._corners(record["bbox"]))
        found.areas.append(self._number(record["area"], "area") if "area" in record else math.nan)
        found.crowds.append(self._crowd(record.get("iscrowd")))

    def _id(self, record: dict[str, Any], key: str) -> Id:
        value = record.get(key)
        if isinstance(value, str) and value:
            return self._writable(key, value)
        # Programs that use pandas write 7.0 for 7.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_INTEGER:
            return value
        if key not in record:
            raise self._error(f"has no {key!r} in {self._where}. Add it, or remove the record")
        raise self._wrong(key, value, "an integer or a text")

    def _name(self, record: dict[str, Any], key: str) -> str:
        value = record.get(key)
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            if key not in record:
                raise self._error(f"has no {key!r} in {self._where}. Add it, or remove the record")
            raise self._wrong(key, value, "a text that is not empty")
        return self._writable(key, value)

    def _writable(self, key: str, value: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self._wrong(key, value, "valid Unicode") from None
        return value

    def _side(self, record: dict[str, Any], key: str) -> int:
        value = record.get(key)
        if value is None:
            return 0
        number = self._number(value, key)
        # Some programs write -1 where they don't know it.
        if math.isnan(number) or number <= 0:
            return 0
        if number > _LARGEST_SIDE or number != int(number):
            raise self._wrong(key, value, "a whole number of pixels")
        return int(number)

    def _number(self, value: object, key: str) -> float:
        if value is None:
            return math.nan
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isnan(number) or abs(number) <= MAX_NUMBER:
                return number
        raise self._wrong(key, value, f"a number from {-MAX_NUMBER:g} to {MAX_NUMBER:g}")

    def _corners(self, value: object) -> list[float]:
        if not isinstance(value, list) or len(value) != 4:
            raise self._wrong("bbox", value, "the four numbers [left, top, width, height]")
        return [self._number(number, "bbox") for number in value]

    def _crowd(self, value: object) -> int:
        if value is None:
            return 0
        if not isinstance(value, int | float) or value not in (0, 1):
            raise self._wrong("iscrowd", value, "0 or 1")
        return int(value)

    def _wrong(self, key: str, value: object, allowed: str) -> DataError:
        shown = shortened(repr(value), 60)
        key = f"{key} = " if key else ""
        return self._error(f"has {key}{shown} in {self._where}; allowed is {allowed}. Correct or remove it")

    def _records(self) -> CocoRecords:
        found = self.found
        return CocoRecords(
            file=self.walk.file,
            picture_ids=found.picture_ids,
            file_names=found.file_names,
            widths_P=np.array(found.widths, dtype=np.int64),
            heights_P=np.array(found.heights, dtype=np.int64),
            class_ids=found.class_ids,
            class_names=found.class_names,
            box_picture_ids=list(found.box_pictures),
            box_class_ids=list(found.box_classes),
            picture_of_N=np.array(found.picture_of_box, dtype=np.int64),
            class_of_N=np.array(found.class_of_box, dtype=np.int64),
            boxes_N4=np.array(found.boxes, dtype=np.float64).reshape(-1, 4),
            areas_N=np.array(found.areas, dtype=np.float64),
            is_crowd_N=np.array(found.crowds, dtype=bool),
            annotation_ids=found.annotation_ids,
        )
