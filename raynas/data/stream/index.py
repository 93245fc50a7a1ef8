"""Finds a streamed data set by its path or URI: its kind, splits and classes. Few images are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from raynas.data.classes import check_classes
from raynas.data.config import DEFAULT_LABEL_COLUMN
from raynas.data.foreign.recognise import check_not_foreign
from raynas.data.found import Found
from raynas.data.layout import ShardLayout, Split, read_shards
from raynas.data.parquet_columns import LOOKED_AT, Columns, found_in_shards
from raynas.data.stream.images import FewerImages, ImageSet
from raynas.data.stream.location import LOCAL, Location, locate
from raynas.data.stream.shards import ShardImages, open_shards
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

    def described(self) -> list[str]:
        """Nothing was found, so there is nothing to say."""
        return []


@dataclass(frozen=True, slots=True, eq=False)
class ImageIndex:
    """A data set whose images have been counted and whose classes have been checked."""

    name: str
    train: ImageSet
    validation: ImageSet | None
    num_classes: int
    class_names: tuple[str, ...] | None
    found: Found

    def described(self) -> list[str]:
        """What was found in the data set, and how it is used, in lines for the user."""
        held_out = self.validation.num_images if self.validation is not None else 0
        use = f"streamed: {self.num_train_images:,} of them for training, {held_out:,} for validation"
        return [*self.found.lines(), use]

    def with_validation(self, other: ImageIndex) -> ImageIndex:
        """An index like this one with the training images of another one for validation.

        Raises:
            DataError: they have other classes.
        """
        _check_same_classes(f"{self.name!r} and {other.name!r}", self.train, other.train)
        found = self.found.with_validation(other.found.counts["train"], other.name)
        return replace(self, validation=other.train, found=found)

    def with_train_images(self, count: int, *, seed: int) -> ImageIndex:
        """An index like this one with `count` training images, drawn at random.

        Raises:
            DataError: there are fewer, or fewer than classes.
        """
        if count > self.num_train_images:
            raise DataError(
                f"{self.name} has {self.num_train_images:,} training images, but data.train_images = "
                f"{count:,}. Set it to at most that."
            )
        check_classes(
            self.name, num_train_images=count, num_classes=self.num_classes, class_names=self.class_names
        )
        return replace(self, train=FewerImages.drawn(self.train, count, seed=seed))

    @property
    def num_train_images(self) -> int:
        """Number of images of the train split."""
        return self.train.num_images

    @property
    def num_channels(self) -> int:
        """Streamed images are always RGB."""
        return 3

    @staticmethod
    def find(
        source: str,
        *,
        label_column: str = DEFAULT_LABEL_COLUMN,
        image_column: str | None = None,
        skip_broken: bool = False,
    ) -> ImageIndex:
        """Finds Parquet shards, or else class folders.

        Args:
            source: a local path, or a URI of a file system that pyarrow knows, such as s3:// or gs://.
            label_column: column of class indexes in Parquet shards.
            image_column: column of images in Parquet shards. Defaults to image, img or the only one.
            skip_broken: skip shards that can't be read, with a warning, instead of raising.
        Raises:
            DataError: the data set is missing, empty, broken or inconsistent, or access to it is refused.
        """
        location = locate(source)
        if location.uri == LOCAL:
            check_not_foreign(Path(location.path), source)
        is_shard = not location.is_folder and location.path.lower().endswith(".parquet")
        layout = None if is_shard or _is_table(location) else _list_shards(location)
        splits: Mapping[Split, ImageSet]
        if is_shard or layout is not None:
            columns = Columns(label_column, image_column)
            splits, found = _open_shards(location, layout, columns, skip_broken=skip_broken)
        else:
            splits, found = open_tree(*_folder_and_table(location))
        train, validation = splits["train"], splits.get("validation")
        if validation is not None:
            _check_same_classes(repr(location.source), train, validation)
        check_classes(
            location.name,
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
            found=found,
        )


def _is_table(location: Location) -> bool:
    """Whether this is a CSV file of labels on this machine."""
    return location.uri == LOCAL and not location.is_folder and location.path.lower().endswith(".csv")


def _folder_and_table(location: Location) -> tuple[Location, Path | None]:
    """The folder of images, and the CSV file in it that was given, if any."""
    if not _is_table(location):
        return location, None
    table = Path(location.path)
    return replace(location, path=table.parent.as_posix(), is_folder=True), table


def _list_shards(location: Location) -> ShardLayout | None:
    """The Parquet files of a folder; None if there are none."""
    if not location.is_folder:
        raise DataError(
            f"{location.source!r} is a file that does not end in .parquet. Allowed: a folder, or a Parquet "
            "file. 'raynas convert' converts tar files into Parquet shards."
        )
    layout = read_shards(location.listing((".parquet",)).files, location.source)
    return layout if layout.splits else None


def _open_shards(
    location: Location, layout: ShardLayout | None, columns: Columns, *, skip_broken: bool
) -> tuple[dict[Split, ShardImages], Found]:
    """Opens the shards of a layout, or the location itself, which is a Parquet file."""
    files: dict[Split, list[str]] = {"train": [location.path]}
    if layout is not None:
        files = {split: [location.path_of(file) for file in layout.splits[split]] for split in layout.splits}
    splits = {
        split: open_shards(location.uri, files[split], columns, skip_broken=skip_broken) for split in files
    }
    train = splits["train"]
    found = found_in_shards(
        {split: images.counted for split, images in splits.items()},
        image_column=train.image_column,
        label_column=columns.label,
        places=layout.places if layout else {},
        left_out=layout.left_out if layout else (),
    )
    return splits, found.with_sizes(train.encoded, LOOKED_AT)


def _check_same_classes(source: str, train: ImageSet, validation: ImageSet) -> None:
    if train.class_names is None or validation.class_names is None:
        if validation.num_classes > train.num_classes:
            raise DataError(
                f"The validation labels of {source} go up to {validation.num_classes - 1}, the "
                f"training labels up to {train.num_classes - 1}. Both must number the same classes."
            )
        return
    pairs = zip_longest(train.class_names, validation.class_names, fillvalue="none")
    for number, (ours, theirs) in enumerate(pairs):
        if ours != theirs:
            raise DataError(
                f"Class {number} of {source} is {ours!r} in training and {theirs!r} in validation "
                f"({train.num_classes} and {validation.num_classes} classes in all). Both must have the same "
                "classes in the same order: complete or correct one of them."
            )
