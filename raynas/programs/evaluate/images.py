"""The labelled images of a classifier's evaluation, as its training would have validated with them."""

# Shapes: N images of a batch or of all, H x W pixels, C channels.

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raynas.config import validated, without_credentials
from raynas.data import DIGITS, DataConfig, ImageSplit, load_split
from raynas.data.decode import EncodedImage, opened_image
from raynas.data.pixels import central_square
from raynas.data.stream import ImageIndex, local_batches
from raynas.data.stream.images import ImageSet
from raynas.detection.data.dataset import holds_boxes
from raynas.errors import DataError
from raynas.files import is_same_file
from raynas.models.folder import ModelInfo
from raynas.models.preprocess import Preprocessing
from raynas.programs.evaluate.config import ImagesConfig, Split

FEW_IMAGES = 512
"""Fewer are decoded in this process: starting others would take longer."""

Pixels = tuple[Tensor, Tensor]
"""uint8 images_NCHW with as many channels as the network takes, and labels_N of the data's classes."""


@dataclass(frozen=True, slots=True)
class NetworkPixels:
    """A Transform of raynas.data.stream: a network's own preprocessing, up to the bytes.

    Grey pixels come three times, as streamed images always have three channels.
    """

    preprocessing: Preprocessing

    @property
    def image_size(self) -> int:
        """See Transform."""
        return self.preprocessing.image_size

    def __call__(self, encoded: EncodedImage, rng: np.random.Generator) -> NDArray[np.uint8]:
        """See Transform; `rng` is not used."""
        own = self.preprocessing
        with opened_image(encoded) as image:
            square = central_square(
                image,
                own.image_size,
                "L" if len(own.mean) == 1 else "RGB",
                crop_fraction=own.crop_fraction,
                interpolation=own.interpolation,
            )
        return np.asarray(square.convert("RGB"))


@dataclass(frozen=True)
class EvaluatedImages:
    """The images that a classifier is measured on.

    Args:
        described: which images they are, for people.
        class_names: of the data; None if it has none.
    """

    described: str
    num_images: int
    num_classes: int
    class_names: tuple[str, ...] | None
    _batches: Any = field(repr=False)

    def batches(self, batch_size: int) -> Iterator[Pixels]:
        """All images once."""
        yield from self._batches(batch_size)


def find_images(
    config: ImagesConfig, info: ModelInfo, recorded: Mapping[str, Any], split: Split | None
) -> EvaluatedImages:
    """The images of a data set for the evaluation of a network.

    Args:
        info: the network's description.
        recorded: the config of its training, if it is known.
        split: None for the validation split, or what the training held out of the same data, or else all.
    Raises:
        DataError: the images can't be found or used.
    """
    if config.source == DIGITS:
        return _held_out(config, info, recorded, split)
    if holds_boxes(config.source):
        raise DataError(
            f"{config.source!r} has pictures with boxes, for a detector, but the network is a classifier. "
            "Give class folders, or Parquet files with a column of labels."
        )
    index = ImageIndex.find(
        config.source,
        label_column=config.label_column,
        image_column=config.image_column,
        skip_broken=config.skip_broken,
    )
    if index.validation is None and _is_its_own(config.source, info, recorded):
        return _held_out(config, info, recorded, split)
    return _streamed(index, config, info, split)


def _streamed(
    index: ImageIndex, config: ImagesConfig, info: ModelInfo, split: Split | None
) -> EvaluatedImages:
    images, described = index.train, f"training images of {index.name}"
    if split == "validation" and index.validation is None:
        raise DataError(
            f"{config.source!r} has no validation images. Name files or folders validation, val or test, or "
            "leave the split (--split) out to evaluate all images."
        )
    if split != "train" and index.validation is not None:
        images, described = index.validation, f"validation images of {index.name}"
    elif split is None:
        described = f"images of {index.name}, which are all that it has, as it names no validation split"
    return EvaluatedImages(
        f"{images.num_images:,} {described}",
        images.num_images,
        index.num_classes,
        index.class_names,
        functools.partial(_decoded, images, info.preprocessing, config.processes),
    )


def _decoded(
    images: ImageSet, preprocessing: Preprocessing, processes: int | Literal["auto"], batch_size: int
) -> Iterator[Pixels]:
    automatic = 0 if images.num_images < FEW_IMAGES else os.cpu_count()
    batches = local_batches(
        images,
        NetworkPixels(preprocessing),
        shuffle=None,
        num_processes=automatic if processes == "auto" else processes,
    )
    for batch in batches.batches(epoch=0, batch_size=batch_size):
        yield batch.images_NCHW[:, : len(preprocessing.mean)], batch.labels_N


def _held_out(
    config: ImagesConfig, info: ModelInfo, recorded: Mapping[str, Any], split: Split | None
) -> EvaluatedImages:
    """Images of a data set that a training decoded in memory and divided, if it is the network's own."""
    is_own = _is_its_own(config.source, info, recorded)
    fields = {
        "source": config.source,
        "image_size": info.image_size,
        "validation": _recorded_data(recorded).get("validation") if is_own else None,
        "validation_images": config.validation_images or _recorded_data(recorded).get("validation_images"),
        "label_column": config.label_column,
        "image_column": config.image_column,
    }
    data = validated(DataConfig, fields, where="data")
    divided = load_split(data, seed=_seed(info, recorded) if is_own else 0)
    if divided.num_channels != info.in_channels:
        raise DataError(
            f"The images of {config.source!r} have {divided.num_channels} channel(s), but the network takes "
            f"{info.in_channels}. Give images like those that it was trained with."
        )
    parts, described = _chosen(divided, is_own=is_own, split=split)
    images_NHWC = np.concatenate([images for images, _ in parts])
    labels_N = np.concatenate([labels for _, labels in parts])
    return EvaluatedImages(
        f"{len(labels_N):,} {described}",
        len(labels_N),
        divided.num_classes,
        divided.class_names,
        functools.partial(_cut, images_NHWC, labels_N),
    )


def _chosen(
    divided: ImageSplit, *, is_own: bool, split: Split | None
) -> tuple[list[tuple[NDArray[np.uint8], NDArray[np.int64]]], str]:
    train = (divided.train_images_NHWC, divided.train_labels_N)
    validation = (divided.validation_images_NHWC, divided.validation_labels_N)
    if not is_own:
        if split is not None:
            raise DataError(
                f"{divided.name} is not divided into training and validation images. Leave the split "
                "(--split) out to evaluate all."
            )
        return [train, validation], f"images of {divided.name}, which are all that it has"
    if split == "train":
        return [train], f"images of {divided.name}, with which the network was trained"
    return [validation], f"images of {divided.own_validation or divided.name}, which its training held out"


def _cut(images_NHWC: NDArray[np.uint8], labels_N: NDArray[np.int64], batch_size: int) -> Iterator[Pixels]:
    for start in range(0, len(labels_N), batch_size):
        pixels_NHWC = torch.from_numpy(images_NHWC[start : start + batch_size])
        yield pixels_NHWC.permute(0, 3, 1, 2), torch.from_numpy(labels_N[start : start + batch_size])


def _recorded_data(recorded: Mapping[str, Any]) -> Mapping[str, Any]:
    data = recorded.get("data")
    return data if isinstance(data, Mapping) else {}


def _is_its_own(source: str, info: ModelInfo, recorded: Mapping[str, Any]) -> bool:
    """Whether the network was trained with this data, as far as its description tells."""
    known = [_recorded_data(recorded).get("source"), info.training.get("data")]
    names = [without_credentials(name) for name in known if isinstance(name, str)]
    given = without_credentials(source)
    return given in names or any("://" not in name + given and _are_same(name, given) for name in names)


def _are_same(one: str, other: str) -> bool:
    first, second = Path(one).expanduser(), Path(other).expanduser()
    return os.path.exists(first) and is_same_file(first, second)


def _seed(info: ModelInfo, recorded: Mapping[str, Any]) -> int:
    seed = recorded.get("seed", info.training.get("seed"))
    return seed if isinstance(seed, int) and seed >= 0 else 0
