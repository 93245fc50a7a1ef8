"""Finds a data set by its path or URI: kind, splits, classes. No image is read."""

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
    """The numbers of a streamed data set that is not at hand: enough for a plan, not for a training."""

    name: str
    num_train_images: int
    num_classes: int
    class_names: tuple[str, ...] | None = None
    num_channels: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class ImageIndex:
    """A data set whose images are counted and whose classes are known and checked."""

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
        """Looks for Parquet shards, else for an ImageFolder tree.

        Args:
            source: a local path, or a URI of a file system that pyarrow knows: s3://, gs://.
            label_column: of Parquet shards: the class numbers, from 0.
            skip_broken: leave shards out that can't be read, with a warning, instead of refusing.
        Raises:
            DataError: it is missing, empty, broken or inconsistent, or the store refuses.
        """
        location = locate(source)
        splits: Mapping[Split, ImageSet]
        splits = _shards(location, label_column, skip_broken) or open_tree(location)
        if "train" not in splits:
            raise DataError(
                f"All files in {source!r} are named as test or validation data. Training data is needed: "
                "name files or folders train."
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
            "file. 'raynas convert' makes shards of tar files."
        )
    return {
        split: open_shards(location.uri, files[split], label_column=label_column, skip_broken=skip_broken)
        for split in files
    }


def _check_same_classes(location: Location, train: ImageSet, validation: ImageSet) -> None:
    if train.class_names is None or validation.class_names is None:
        if validation.num_classes > train.num_classes:
            raise DataError(
                f"The validation labels of {location.source!r} go up to {validation.num_classes - 1}, those "
                f"for training up to {train.num_classes - 1}. Both must number the same classes."
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
