"""All boxes of a split in arrays: checked against pictures and classes, and prepared for training.

Evaluation measures with the boxes as the file has them, as COCO's own code does; training gets those that
are left after clipping.
"""

# Shapes: P pictures, N boxes of all pictures or of one, K classes.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from raynas.detection.data.coco_json import CocoRecords, Id
from raynas.errors import DataError, did_you_mean

MIN_SIDE = 1.0
"""Shortest side, in pixels, of a box that is trained on."""
_SHOWN = 3

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DetectionClasses:
    """The classes of a data set. Label k, from 1, is the class at k - 1; 0 is the background.

    Args:
        ids: as the data set has them, in ascending order; predictions are written with these.
        names: no two are equal.
    """

    ids: tuple[Id, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """The boxes of P pictures: those of picture p lie at offsets[p] to offsets[p + 1].

    Args:
        boxes_N4: float32 left, top, right and bottom in pixels.
        labels_N: int32, from 1.
        is_crowd_N: the box holds a group of objects.
        areas_N: float64 square pixels; in COCO that of the object's outline.
        offsets: int64 [P + 1].
    """

    boxes_N4: NDArray[np.float32]
    labels_N: NDArray[np.int32]
    is_crowd_N: NDArray[np.bool_]
    areas_N: NDArray[np.float64]
    offsets: Numbers

    def __len__(self) -> int:
        return len(self.labels_N)

    def of_picture(self, picture: int) -> slice:
        """Where the boxes of a picture lie."""
        return slice(int(self.offsets[picture]), int(self.offsets[picture + 1]))

    @property
    def picture_of_N(self) -> Numbers:
        """The picture of each box."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def chosen(self, keep_N: NDArray[np.bool_]) -> Boxes:
        """Only some of the boxes, of the same pictures."""
        counts = np.bincount(self.picture_of_N[keep_N], minlength=len(self.offsets) - 1)
        return Boxes(
            self.boxes_N4[keep_N],
            self.labels_N[keep_N],
            self.is_crowd_N[keep_N],
            self.areas_N[keep_N],
            offsets_of(counts),
        )

    def of_pictures(self, keep_P: NDArray[np.bool_]) -> Boxes:
        """Only some of the pictures, which are then numbered from 0 without gaps."""
        kept = self.chosen(keep_P[self.picture_of_N])
        return replace(kept, offsets=offsets_of(np.diff(kept.offsets)[keep_P]))


def offsets_of(counts_P: NDArray[np.int64]) -> Numbers:
    """Where each picture's boxes begin, and where the last one's end."""
    return np.concatenate([[0], np.cumsum(counts_P)]).astype(np.int64)


def classes_of(records: CocoRecords) -> DetectionClasses:
    """The classes in ascending order of their ids, numbers before texts.

    Raises:
        DataError: there are none, or an id comes twice.
    """
    if not records.class_ids:
        raise DataError(f"{records.file} has no categories. Add the classes of the boxes.")
    refuse_twice(records.file, "categories", records.class_ids)
    pairs = sorted(
        zip(records.class_ids, records.class_names, strict=True),
        key=lambda pair: (isinstance(pair[0], str), pair[0]),
    )
    names = [name for _, name in pairs]
    # Roboflow's files may have a parent class with the name of its only child.
    unique = [name if names.count(name) == 1 else f"{name} (id {own})" for own, name in pairs]
    return DetectionClasses(tuple(own for own, _ in pairs), tuple(unique))


def boxes_of(records: CocoRecords, classes: DetectionClasses) -> tuple[Boxes, list[str]]:
    """The boxes, grouped by picture, in the order of the file within each, and what was found wrong.

    Boxes whose numbers are not finite, or whose width or height is negative, are left out.

    Raises:
        DataError: an id comes twice, or a box has a picture or class that is not in the file.
    """
    refuse_twice(records.file, "images", records.picture_ids)
    refuse_twice(records.file, "annotations", records.annotation_ids)
    pictures_N = _resolved(records, "image_id", records.box_picture_ids, records.picture_ids)
    labels_N = 1 + _resolved(records, "category_id", records.box_class_ids, classes.ids)
    boxes_N4 = records.boxes_N4
    is_finite_N = np.asarray(np.isfinite(boxes_N4).all(axis=1))
    is_negative_N = np.asarray(is_finite_N & (boxes_N4[:, 2:] < 0).any(axis=1))
    findings = [
        *_finding(records, ~is_finite_N, "left out, because a number is not finite or is missing"),
        *_finding(records, is_negative_N, "left out, because width or height is negative"),
    ]
    order_N = np.argsort(pictures_N, kind="stable")
    order_N = order_N[(is_finite_N & ~is_negative_N)[order_N]]
    corners_N4 = boxes_N4[order_N]
    # A file may lack the area, which is then that of the box.
    areas_N = records.areas_N[order_N]
    areas_N = np.where(np.isnan(areas_N), corners_N4[:, 2] * corners_N4[:, 3], areas_N)
    corners_N4[:, 2:] += corners_N4[:, :2]
    counts = np.bincount(pictures_N[order_N], minlength=len(records.picture_ids))
    boxes = Boxes(
        boxes_N4=corners_N4.astype(np.float32),
        labels_N=labels_N[order_N].astype(np.int32),
        is_crowd_N=records.is_crowd_N[order_N],
        areas_N=areas_N,
        offsets=offsets_of(counts),
    )
    return boxes, findings


def trainable(
    boxes: Boxes, sizes_P2: Numbers, *, file: str, picture_ids: Sequence[Id]
) -> tuple[Boxes, NDArray[np.bool_], list[str]]:
    """The boxes and pictures of a training: clipped to the picture, without crowds and without slivers.

    A picture without any box shows what no object looks like, and stays. One whose boxes are all crowds or
    unusable shows objects that no box tells of, and is left out.

    Args:
        sizes_P2: width and height of the pictures, in pixels; 0 where they are not known yet.
        file: name of the file in messages.
    Returns:
        The boxes that are left, which pictures are trained on, and what was clipped and left out.
    Raises:
        DataError: nothing is left to train on.
    """
    where_N = boxes.picture_of_N
    limits_N4 = np.tile(np.where(sizes_P2 > 0, sizes_P2, np.inf)[where_N], 2).astype(np.float32)
    clipped_N4 = np.clip(boxes.boxes_N4, 0, limits_N4)
    is_changed_N = (np.abs(clipped_N4 - boxes.boxes_N4) > MIN_SIDE).any(axis=1)
    sides_N2 = clipped_N4[:, 2:] - clipped_N4[:, :2]
    is_sliver_N = (sides_N2 < MIN_SIDE).any(axis=1)

    def finding(is_so_N: NDArray[np.bool_], what: str) -> list[str]:
        if not is_so_N.any():
            return []
        listing = ", ".join(
            f"{np.round(boxes.boxes_N4[index].astype(float), 2).tolist()} of picture "
            f"{picture_ids[where_N[index]]!r} ({sizes_P2[where_N[index]][0]}x{sizes_P2[where_N[index]][1]})"
            for index in np.flatnonzero(is_so_N)[:_SHOWN]
        )
        return [f"{is_so_N.sum():,} boxes {what}, such as [left, top, right, bottom] {listing}"]

    findings = [
        *finding(is_changed_N & ~is_sliver_N, "reach out of their picture and are clipped in training"),
        *finding(
            is_sliver_N & ~boxes.is_crowd_N,
            f"have less than {MIN_SIDE:g} pixel of width or height in their picture and are left out of "
            "training",
        ),
    ]
    keep_N = ~is_sliver_N & ~boxes.is_crowd_N
    left = Boxes(clipped_N4, boxes.labels_N, boxes.is_crowd_N, boxes.areas_N, boxes.offsets).chosen(keep_N)
    is_misleading_P = (np.diff(boxes.offsets) > 0) & (np.diff(left.offsets) == 0)
    if is_misleading_P.any():
        first = picture_ids[int(is_misleading_P.argmax())]
        findings.append(
            f"{is_misleading_P.sum():,} pictures are left out of training, because all their boxes are "
            f"crowds or unusable, such as {first!r}"
        )
    if not len(left):
        raise DataError(_nothing_left(boxes, file))
    return left, ~is_misleading_P, findings


def _nothing_left(boxes: Boxes, file: str) -> str:
    if not len(boxes):
        return f"{file} has no usable box, so there is nothing to train on. Give a file with boxes."
    if boxes.is_crowd_N.all():
        return (
            f"All {len(boxes):,} boxes of {file} are crowds (iscrowd = 1), so there is nothing to train on. "
            "Set iscrowd to 0 for the boxes that hold one object."
        )
    return (
        f"Of the {len(boxes):,} boxes of {file}, {boxes.is_crowd_N.sum():,} are crowds and the others have "
        f"less than {MIN_SIDE:g} pixel of width or height in their picture, so there is nothing to train on. "
        "Boxes are [left, top, width, height] in pixels, not fractions of the picture: correct them."
    )


def empty_classes(boxes: Boxes, classes: DetectionClasses) -> tuple[str, ...]:
    """Names of the classes that no box has."""
    counts = np.bincount(boxes.labels_N, minlength=len(classes) + 1)[1:]
    return tuple(name for name, count in zip(classes.names, counts, strict=True) if not count)


def _resolved(records: CocoRecords, key: str, used: Sequence[Id], known: Sequence[Id]) -> Numbers:
    """The place of each box's id among the known ones."""
    places = {own: place for place, own in enumerate(known)}
    of_N = records.picture_of_N if key == "image_id" else records.class_of_N
    for place, own in enumerate(used):
        if own not in places:
            index = int((of_N == place).argmax())
            raise DataError(_unknown(records, index, key, own, places))
    return np.array([places[own] for own in used], dtype=np.int64)[of_N] if used else of_N


def _unknown(records: CocoRecords, index: int, key: str, own: Id, places: dict[Id, int]) -> str:
    listing = "images" if key == "image_id" else "categories"
    hint = ""
    other: Id = str(own) if isinstance(own, int) else int(own) if own.isdecimal() else ""
    if other in places:
        hint = f" {other!r} is there: write texts and numbers alike."
    elif isinstance(own, str):
        hint = did_you_mean(own, [str(known) for known in list(places)[:1000]])
    elif key == "category_id":
        hint = (
            f" Known: {', '.join(repr(known) for known in list(places)[:10])}{' ...' * (len(places) > 10)}."
        )
    return (
        f"{records.file} has {key} = {own!r} in {records.box(index)}, but no such id among its "
        f"{len(places):,} {listing}.{hint} Add it there, or correct or remove the box."
    )


def refuse_twice(file: str, listing: str, ids: Sequence[Id | None]) -> None:
    """Raises DataError if an id comes twice in a list of a file."""
    first: dict[Id, int] = {}
    for index, own in enumerate(ids):
        if own is not None and first.setdefault(own, index) != index:
            raise DataError(
                f"{file} has the id {own!r} twice: {listing}[{first[own]}] and {listing}[{index}]. Remove "
                "one, or give it another id."
            )


def _finding(records: CocoRecords, is_so_N: NDArray[np.bool_], what: str) -> list[str]:
    if not is_so_N.any():
        return []
    listing = ", ".join(
        f"{records.boxes_N4[index].tolist()} in {records.box(int(index))}"
        for index in np.flatnonzero(is_so_N)[:_SHOWN]
    )
    return [f"{is_so_N.sum():,} boxes are {what}: {listing}"]
