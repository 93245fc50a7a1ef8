"""Loads the images that a DataConfig describes: opens the data source, picks the rows, decodes only those."""

# Shapes: N images (all rows of a data source, or the chosen ones), H x W pixels, C channels.

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raynas.data.broken import broken_images, check_broken
from raynas.data.channels import channel_statistics
from raynas.data.classes import check_classes, warn_of_empty_classes
from raynas.data.config import DataConfig
from raynas.data.folder import open_folder
from raynas.data.foreign.recognise import check_not_foreign
from raynas.data.label_files import check_no_label_files
from raynas.data.layout import ShardLayout, part_of_path
from raynas.data.own_validation import JoinedSource, joined
from raynas.data.parquet import list_shards, open_parquet
from raynas.data.parquet_columns import Columns
from raynas.data.source import FileSource, ImageSource
from raynas.data.split import ImageSplit
from raynas.errors import DataError, did_you_mean

DIGITS = "digits"
SEARCH_IMAGE_SIZE = 64
"""Pixels per side that images of a search have at most, unless data.image_size says otherwise: children are
small, and there are many."""


@dataclass(frozen=True, slots=True)
class _Counts:
    train: int
    validation: int


def load_split(config: DataConfig, *, seed: int, max_image_size: int = SEARCH_IMAGE_SIZE) -> ImageSplit:
    """Loads the images of a data source, decoded and split at random into train and validation.

    Where the data has validation images of its own, the validation part consists of those. Otherwise it is
    held out of the training images: their permutation depends only on the seed and the number of rows, and
    validation images come first in it. So the validation set stays the same when `train_images` changes.

    Args:
        seed: seed of the permutation, not negative.
        max_image_size: the most that images have in pixels per side, unless the config says otherwise.
    Raises:
        DataError: the source is missing, empty, corrupt or inconsistent, has too few images or classes, or
            more images that can't be decoded than the config allows.
    """
    source = _open_source(config)
    counts = _counts(config, source)
    rows_N = _chosen_rows(source, counts, np.random.default_rng(seed))
    decoded = source.decode(rows_N, image_size=config.image_size, max_image_size=max_image_size)
    found = source.found
    if decoded.broken:
        check_broken(list(decoded.broken.values()), len(rows_N), config.max_broken, source.name)
        found = found.without(broken_images(decoded.broken))
    images_NHWC, labels_N = decoded.images_NHWC, source.labels_N[rows_N[decoded.places_N]]
    num_held_out = int(np.searchsorted(decoded.places_N, counts.validation))
    if not 0 < num_held_out < len(labels_N):
        raise next(iter(decoded.broken.values()))
    statistics = channel_statistics(images_NHWC[num_held_out:])
    return ImageSplit(
        name=source.name,
        train_images_NHWC=images_NHWC[num_held_out:],
        train_labels_N=labels_N[num_held_out:],
        validation_images_NHWC=images_NHWC[:num_held_out],
        validation_labels_N=labels_N[:num_held_out],
        num_classes=source.num_classes,
        class_names=source.class_names,
        mean_C=statistics.mean_C,
        std_C=statistics.std_C,
        found=found,
        own_validation=source.place if isinstance(source, JoinedSource) else None,
    )


def _chosen_rows(source: ImageSource, counts: _Counts, rng: np.random.Generator) -> NDArray[np.int64]:
    """The rows for validation, then those for training, both in random order."""
    if not isinstance(source, JoinedSource):
        return rng.permutation(len(source.labels_N))[: counts.validation + counts.train]
    held_out_N = rng.permutation(source.num_held_out)[: counts.validation]
    train_N = rng.permutation(len(source.train.labels_N))[: counts.train] + source.num_held_out
    return np.concatenate([held_out_N, train_N])


def _open_source(config: DataConfig) -> ImageSource:
    if config.source == DIGITS:
        if config.validation is not None:
            raise DataError(
                f"data.validation = {config.validation!r} needs training images in files, but data.source is "
                "'digits'. Set data.source to a path, or leave data.validation out."
            )
        # Imported here, because scikit-learn takes a second to import and nothing else needs it.
        from raynas.data.digits import open_digits

        return open_digits()
    source = _open_path(config, "source")
    if config.validation is None:
        return source
    return joined(_train_of(source), _train_of(_open_path(config, "validation")), config.validation)


def _train_of(source: FileSource | JoinedSource) -> FileSource:
    return source.train if isinstance(source, JoinedSource) else source


def _open_path(config: DataConfig, field: Literal["source", "validation"]) -> FileSource | JoinedSource:
    """The images at the path that this field of the config has."""
    given = str(getattr(config, field))
    path = Path(os.path.expanduser(given))
    if not os.path.exists(path):
        if "://" in given:
            raise DataError(
                f"data.{field} = {given!r} is an address, but images that are decoded in memory can "
                "be read from local paths only. Copy them to this machine. A final training with "
                "data.streamed=true reads s3:// and gs://."
            )
        digits = [DIGITS] if field == "source" else []
        allowed = "'digits', " if digits else ""
        raise DataError(
            f"data.{field} = {given!r} is not a path that can be read.{did_you_mean(given, digits)} "
            f"Allowed: {allowed}a Parquet file, a folder of Parquet files, a folder with one sub folder "
            "of images per class, or a CSV file of labels. Correct it; a relative path "
            "starts at the working directory."
        )
    check_not_foreign(path, given)
    if path.is_dir():
        return _open_folder(path, config)
    if path.suffix.lower() == ".csv":
        return open_folder(path.parent, path)
    if path.suffix.lower() != ".parquet":
        raise DataError(
            f"data.{field} = {given!r} is a file that does not end in .parquet or .csv. Allowed: 'digits', a "
            "Parquet file, a CSV file of labels, or a folder. Unpack an archive and give its folder, "
            "or convert a tar file with 'raynas convert'."
        )
    return open_parquet(path, None, _columns(config))


def _open_folder(path: Path, config: DataConfig) -> FileSource | JoinedSource:
    shards = list_shards(path)
    if shards.splits:
        return _open_shards(path, shards, _columns(config))
    source = open_folder(path)
    train = _train_of(source)
    firsts = np.unique(train.labels_N, return_index=True)[1]
    images = train.encoded_rows(firsts)
    check_no_label_files([str(image.file) for image in images], os.path.exists)
    return source


def _open_shards(path: Path, shards: ShardLayout, columns: Columns) -> FileSource | JoinedSource:
    source = open_parquet(path, shards, columns)
    held_out = shards.splits.get("validation", [])
    # Files for validation come before those of a test set, which a search must not look at.
    if not held_out or part_of_path(PurePath(held_out[0])) != "validation":
        return source
    own = open_parquet(path, ShardLayout({"train": held_out}, {}, ()), columns)
    return joined(source, own, shards.places["validation"])


def _columns(config: DataConfig) -> Columns:
    return Columns(config.label_column, config.image_column)


def _counts(config: DataConfig, source: ImageSource) -> _Counts:
    if isinstance(source, JoinedSource):
        train, validation = _counts_of_joined(config, source)
    else:
        num_images = len(source.labels_N)
        validation = num_images // 10 if config.validation_images is None else config.validation_images
        train = num_images - validation if config.train_images is None else config.train_images
        _check_counts(_Counts(train, validation), num_images, source.name)
    check_classes(
        source.name,
        num_train_images=train,
        num_classes=source.num_classes,
        class_names=source.class_names,
    )
    if source.class_names is None:
        warn_of_empty_classes(source.name, np.unique(source.labels_N).tolist(), source.num_classes)
    return _Counts(train, validation)


def _counts_of_joined(config: DataConfig, source: JoinedSource) -> tuple[int, int]:
    """Numbers of training and of validation images."""
    counts = []
    for field, given, available in (
        ("train_images", config.train_images, len(source.train.labels_N)),
        ("validation_images", config.validation_images, source.num_held_out),
    ):
        if given is not None and given > available:
            raise DataError(
                f"{source.name} has {available:,} {_PART_OF[field]} images, but data.{field} = {given:,}. "
                "Set it to at most that."
            )
        counts.append(available if given is None else given)
    return counts[0], counts[1]


_PART_OF = {"train_images": "training", "validation_images": "validation"}


def _check_counts(counts: _Counts, num_images: int, name: str) -> None:
    if counts.validation < 1:
        raise DataError(
            f"A tenth of the {num_images} images of {name} is less than 1 validation image. "
            "Set data.validation_images, or use more images."
        )
    if counts.train < 1 or counts.train + counts.validation > num_images:
        raise DataError(
            f"{name} has {num_images:,} images, but {max(counts.train, 1):,} for training and "
            f"{counts.validation:,} for validation are asked for. Set data.train_images and "
            f"data.validation_images to at most {num_images:,} together."
        )
