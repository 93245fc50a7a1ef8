"""Opens data sets of object detection: finds the files, reads all boxes, looks at some pictures."""

# Shapes: P pictures, N boxes, K classes.

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
import pyarrow as pa

from raynas.data.layout import SPLITS, Split, by_split
from raynas.data.stream.location import Location, filesystem_of, locate, reason_of
from raynas.detection.data.box_format import as_xywh, check_coco_format
from raynas.detection.data.boxes import (
    Boxes,
    DetectionClasses,
    boxes_of,
    classes_of,
    empty_classes,
    trainable,
)
from raynas.detection.data.coco_json import CocoRecords, Id, read_coco
from raynas.detection.data.coco_layout import (
    AnnotationFile,
    Listing,
    find_annotations,
    has_annotations,
    missing_pictures,
    resolve_pictures,
)
from raynas.detection.data.config import BoxFormat, DetectionDataConfig
from raynas.detection.data.first_look import complete_sizes, look_at_pictures
from raynas.detection.data.parquet_rows import has_boxes, read_rows
from raynas.detection.data.pictures import (
    FilePictures,
    Numbers,
    PictureSet,
)
from raynas.errors import DataError

_SHOWN = 5
_ALLOWED = (
    "Allowed: a folder with COCO's annotations and pictures, or Parquet files with the columns `image` and "
    "`objects`; a local path, or s3://BUCKET/PATH or gs://BUCKET/PATH"
)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class DetectionSet:
    """The pictures and boxes of one split.

    Args:
        file: the annotations, for messages.
        picture_ids: as the data set has them.
        sizes_P2: width and height in pixels, int64; 0 where they are not known before a picture is decoded.
        boxes: as the data set has them, for evaluation; see `for_training`.
        findings: what was wrong and how it was dealt with, one sentence each.
    """

    file: str
    pictures: PictureSet
    picture_ids: tuple[Id, ...]
    sizes_P2: Numbers
    boxes: Boxes
    classes: DetectionClasses
    findings: tuple[str, ...] = ()

    @property
    def num_pictures(self) -> int:
        """Number of pictures, with those that have no boxes."""
        return self.pictures.num_pictures

    def for_training(self) -> TrainingSet:
        """What is trained on; see `boxes.trainable`.

        Raises:
            DataError: nothing is left to train on.
        """
        boxes, is_used_P, findings = trainable(
            self.boxes, self.sizes_P2, file=self.file, picture_ids=self.picture_ids
        )
        return TrainingSet(replace(self, boxes=boxes), np.flatnonzero(is_used_P), tuple(findings))


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """A split whose boxes have been clipped and chosen for training.

    Args:
        numbers: of the pictures that are trained on, ascending.
        findings: what was clipped and left out.
    """

    split: DetectionSet
    numbers: Numbers
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DetectionData:
    """The splits of a data set; `train` may be missing where something is only evaluated."""

    name: str
    classes: DetectionClasses
    train: DetectionSet | None
    validation: DetectionSet | None

    def for_training(self) -> TrainingSet:
        """The train split, clipped and chosen; what was clipped and left out is logged.

        Raises:
            DataError: there is no train split, or nothing is left to train on.
        """
        if self.train is None:
            file = self.validation.file if self.validation else self.name
            raise DataError(
                f"{self.name} has no training data, only {file}. Put train into the names of its annotations "
                "and folders, or set data.train_annotations."
            )
        chosen = self.train.for_training()
        for finding in chosen.findings:
            _logger.warning("%s  file=%s", finding, self.train.file)
        return chosen


def open_detection(config: DetectionDataConfig) -> DetectionData:
    """Finds and reads the boxes of both splits. Its findings are logged, once for each split.

    Raises:
        DataError: the data set is missing, broken or inconsistent; the message names file, id and value.
    """
    location = locate(config.source, allowed=_ALLOWED)
    splits = _open_splits(location, config)
    train, validation = (splits.get(split) for split in SPLITS)
    first = train or validation
    assert first is not None
    if train is not None and validation is not None:
        _check_same_classes(train, validation)
    for split in filter(None, (train, validation)):
        for finding in split.findings:
            _logger.warning("%s  file=%s", finding, split.file)
    return DetectionData(location.name, first.classes, train, validation)


def _open_splits(location: Location, config: DetectionDataConfig) -> dict[Split, DetectionSet]:
    if not location.is_folder:
        if not location.path.lower().endswith(".parquet"):
            raise DataError(f"{location.source!r} is a file that does not end in .parquet. {_ALLOWED}.")
        return _open_parquet(location, {"train": [location.path]}, config)
    listing = Listing.of(location)
    shards = sorted(file for file in listing.files if file.lower().endswith(".parquet"))
    is_given = config.train_annotations is not None or config.validation_annotations is not None
    if shards and not is_given and not has_annotations(listing):
        return _open_parquet(location, by_split(shards, location.relative), config)
    return {
        split: _open_coco(listing, annotations, config)
        for split, annotations in find_annotations(listing, config).items()
    }


def is_detection_data(source: str) -> bool:
    """Whether a folder looks like COCO's: a JSON file by the usual names. False for what isn't there."""
    try:
        location = locate(source)
    except DataError:
        return False
    return location.is_folder and has_annotations(Listing.of(location))


def holds_boxes(source: str) -> bool:
    """Whether this is data for a detector: as `is_detection_data`, or Parquet files with boxes. False for
    what can't be read.
    """
    try:
        location = locate(source)
        if not location.is_folder:
            return location.path.lower().endswith(".parquet") and has_boxes(location.uri, location.path)
        listing = Listing.of(location)
    except DataError:
        return False
    shards = sorted(file for file in listing.files if file.lower().endswith(".parquet"))
    return has_annotations(listing) or (bool(shards) and has_boxes(location.uri, shards[0]))


def _open_coco(listing: Listing, annotations: AnnotationFile, config: DetectionDataConfig) -> DetectionSet:
    records = read_coco(_content(annotations), annotations.path)
    records = _in_format(records, config.box_format)
    classes = classes_of(records)
    # Before the pictures are looked for: a wrong id is told even where they are elsewhere.
    boxes, findings = boxes_of(records, classes)
    if not records.picture_ids:
        raise DataError(f"{annotations.path} has no images. Give a file with pictures.")
    uri, paths, missing = resolve_pictures(listing, annotations, records.file_names)
    if len(set(paths)) < len(paths):
        path = next(path for path, count in Counter(paths).items() if count > 1)
        findings.append(
            f"{len(paths) - len(set(paths)):,} pictures have a file that another has, such as {path}"
        )
    sizes_P2 = np.stack([records.widths_P, records.heights_P], axis=1)
    ids = tuple(records.picture_ids)
    if missing:
        problem = missing_pictures(paths, missing, ids, annotations.path)
        if not config.skip_missing:
            raise DataError(
                f"{problem}. Restore them, or leave them out with their boxes: data.skip_missing=true."
            )
        findings.append(f"{problem} and left out with their boxes")
        is_there_P = np.ones(len(paths), dtype=bool)
        is_there_P[missing] = False
        boxes = boxes.of_pictures(is_there_P)
        paths = [path for path, is_there in zip(paths, is_there_P, strict=True) if is_there]
        ids = tuple(own for own, is_there in zip(ids, is_there_P, strict=True) if is_there)
        sizes_P2 = sizes_P2[is_there_P]
    pictures = FilePictures(uri, tuple(paths))
    sizes_P2, size_findings = complete_sizes(pictures, ids, sizes_P2)
    if config.box_format is None:
        _check_format(boxes, sizes_P2, annotations.path)
    return _looked_at(
        DetectionSet(
            file=annotations.path,
            pictures=pictures,
            picture_ids=ids,
            sizes_P2=sizes_P2,
            boxes=boxes,
            classes=classes,
            findings=(*findings, *size_findings),
        )
    )


def _open_parquet(
    location: Location, files: dict[Split, list[str]], config: DetectionDataConfig
) -> dict[Split, DetectionSet]:
    if not files or not all(has_boxes(location.uri, group[0]) for group in files.values()):
        raise DataError(
            f"The Parquet files of {location.source!r} have no column 'objects'. Allowed for object "
            "detection are `image` and `objects` with `bbox` and `category`."
        )
    found: dict[Split, DetectionSet] = {}
    known: Sequence[int] = ()
    for split, group in files.items():
        pictures, records = read_rows(location.uri, group, box_format=config.box_format, other_classes=known)
        classes = classes_of(records)
        known = [own for own in classes.ids if isinstance(own, int)]
        boxes, findings = boxes_of(records, classes)
        found[split] = _looked_at(
            DetectionSet(
                file=records.file,
                pictures=pictures,
                picture_ids=tuple(records.picture_ids),
                sizes_P2=np.stack([records.widths_P, records.heights_P], axis=1),
                boxes=boxes,
                classes=classes,
                findings=tuple(findings),
            )
        )
    return found


def _content(annotations: AnnotationFile) -> bytes:
    try:
        with filesystem_of(annotations.location.uri).open_input_file(annotations.path) as stream:
            return bytes(stream.read())
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{annotations.path} can't be read: {reason_of(error)}.") from error


def _in_format(records: CocoRecords, box_format: BoxFormat | None) -> CocoRecords:
    return replace(records, boxes_N4=as_xywh(records.boxes_N4, box_format or "xywh"))


def _check_format(boxes: Boxes, sizes_P2: Numbers, file: str) -> None:
    xywh_N4 = boxes.boxes_N4.astype(np.float64)
    xywh_N4[:, 2:] -= xywh_N4[:, :2]
    check_coco_format(xywh_N4, sizes_P2[boxes.picture_of_N], file)


def _looked_at(split: DetectionSet) -> DetectionSet:
    """Decodes a few pictures, compares the sizes of more, and names the classes without boxes.

    Raises:
        DataError: one can't be decoded, or differs from what its annotations say.
    """
    look_at_pictures(split.pictures, split.picture_ids, split.sizes_P2)
    empty = empty_classes(split.boxes, split.classes)
    if not empty:
        return split
    if len(empty) == len(split.classes):
        finding = "there is not a single box"
    else:
        more = f" and {len(empty) - _SHOWN} more" if len(empty) > _SHOWN else ""
        names = ", ".join(repr(name) for name in empty[:_SHOWN])
        finding = f"{len(empty)} of the {len(split.classes)} classes have no box: {names}{more}"
    return replace(split, findings=(*split.findings, finding))


def _check_same_classes(train: DetectionSet, validation: DetectionSet) -> None:
    ours = zip(train.classes.ids, train.classes.names, strict=True)
    theirs = zip(validation.classes.ids, validation.classes.names, strict=True)
    for one, other in zip_longest(ours, theirs):
        if one != other:
            raise DataError(
                f"The classes of {train.file} and {validation.file} differ: {_shown_class(one)} in the first "
                f"is {_shown_class(other)} in the second ({len(train.classes)} and {len(validation.classes)} "
                "classes in all). Both must have the same ids and names: complete or correct one of them."
            )


def _shown_class(pair: tuple[Id, str] | None) -> str:
    return "no class" if pair is None else f"{pair[1]!r} (id {pair[0]!r})"
