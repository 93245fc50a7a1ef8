"""Finds a streamed data set by its path or URI: its kind, splits and classes. No image is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from raynas.data.classes import check_classes
from raynas.data.layout import Split, by_split
from raynas.data.stream.images import ImageSet
from raynas.data.stream.location import Location, locate
from raynas.data.stream.shards import open_shards
from raynas.data.stream.tree import open_tree
from raynas.errors import DataError


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """The size of a streamed data set that is not available here: enough for a plan, not for a training."""

    name: str
    num_train_images: int
    num_classes: int
    class_names: tuple[str, ...] | None = None
    num_channels: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class ImageIndex:
    """A data set whose images have been counted and whose classes have been checked."""

    name: str
    train: ImageSet
    validation: ImageSet | None
    num_classes: int
    class_names: tuple[str, ...] | None

    @property
    def num_train_images(self) -> int:
        """Number of images of the train split."""
        return self.train.num_images

    @property
    def num_channels(self) -> int:
        """Streamed images are always RGB."""
        return 3

    @staticmethod
    def find(source: str, *, label_column: str = "label", skip_broken: bool = False) -> ImageIndex:
        """Finds Parquet shards, or else class folders.

        Args:
            source: a local path, or a URI of a file system that pyarrow knows, such as s3:// or gs://.
            label_column: column of class indexes in Parquet shards.
            skip_broken: skip shards that can't be read, with a warning, instead of raising.
        Raises:
            DataError: the data set is missing, empty, broken or inconsistent, or access to it is refused.
        """
        location = locate(source)
        splits: Mapping[Split, ImageSet]
        splits = _shards(location, label_column, skip_broken) or open_tree(location)
        if "train" not in splits:
            raise DataError(
                f"All files in {source!r} are named as test or validation data. Training data is needed: "
                "put train into the names of its files or folders."
            )
        train, validation = splits["train"], splits.get("validation")
        if validation is not None:
            _check_same_classes(location, train, validation)
        check_classes(
            repr(location.source),
            num_train_images=train.num_images,
            num_classes=train.num_classes,
            class_names=train.class_names,
        )
        return ImageIndex(
            name=location.name,
            train=train,
            validation=validation,
            num_classes=train.num_classes,
            class_names=train.class_names,
        )


def _shards(location: Location, label_column: str, skip_broken: bool) -> Mapping[Split, ImageSet]:
    if location.is_folder:
        files = by_split(location.files((".parquet",)), location.relative)
    elif location.path.lower().endswith(".parquet"):
        files = {"train": [location.path]}
    else:
        raise DataError(
            f"{location.source!r} is a file that does not end in .parquet. Allowed: a folder, or a Parquet "
            "file. 'raynas convert' converts tar files into Parquet shards."
        )
    return {
        split: open_shards(location.uri, files[split], label_column=label_column, skip_broken=skip_broken)
        for split in files
    }


def _check_same_classes(location: Location, train: ImageSet, validation: ImageSet) -> None:
    if train.class_names is None or validation.class_names is None:
        if validation.num_classes > train.num_classes:
            raise DataError(
                f"The validation labels of {location.source!r} go up to {validation.num_classes - 1}, the "
                f"training labels up to {train.num_classes - 1}. Both must number the same classes."
            )
        return
    pairs = zip_longest(train.class_names, validation.class_names, fillvalue="none")
    for number, (ours, theirs) in enumerate(pairs):
        if ours != theirs:
            raise DataError(
                f"Class {number} of {location.source!r} is {ours!r} in training and {theirs!r} in validation "
                f"({train.num_classes} and {validation.num_classes} classes in all). Both must have the same "
                "classes in the same order: complete or correct one of them."
            )
