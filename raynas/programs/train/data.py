"""Finds the images of a final training: decoded in memory, or an index of what will be streamed."""

from __future__ import annotations

import functools

from raynas.config import validated
from raynas.data import DIGITS, DataConfig, ImageSplit, load_split
from raynas.data.stream import EvalTransform, ImageCounts, ImageIndex, TrainTransform
from raynas.data.stream.preflight import preflight
from raynas.errors import DataError
from raynas.programs.train.config import TrainDataConfig

DEFAULT_IMAGE_SIZE = 224
"""Pixels per side of streamed images, where the config gives no size."""
IMAGENET = ImageCounts("ImageNet-1k", num_train_images=1_281_167, num_classes=1000)
"""ImageNet's counts, for a plan made where the images aren't available. Source: Russakovsky et al. 2015
(arXiv 1409.0575), table 2.
"""


def find_data(
    config: TrainDataConfig, *, seed: int, is_plan: bool = False
) -> ImageSplit | ImageIndex | ImageCounts:
    """The images of a training, after a look at what would otherwise end it hours later.

    Args:
        seed: which images are held out for validation, where the data has none of its own.
        is_plan: nothing will be trained, so ImageNet's counts stand in for streamed data that isn't given.
    Raises:
        DataError: the images can't be found or used.
    """
    if not config.streamed:
        fields = config.model_dump(include=set(DataConfig.model_fields))
        data = validated(DataConfig, fields, where="data")
        return load_split(data, seed=seed, max_image_size=DEFAULT_IMAGE_SIZE)
    if config.source == DIGITS:
        if is_plan:
            return IMAGENET
        raise DataError(
            "This recipe streams images, and the digits are in memory. Set data.source (--data) to Parquet "
            "shards or a folder of class folders, here or at s3:// or gs://."
        )
    index = find_index(config)
    if index.validation is None:
        raise DataError(
            f"{config.source!r} has no validation images. Name files or folders validation, val or test, "
            "or train in memory with data.streamed=false, which holds some out."
        )
    index = looked_at(index, config)
    return index if config.train_images is None else index.with_train_images(config.train_images, seed=seed)


def find_index(config: TrainDataConfig) -> ImageIndex:
    """The streamed data set of a config; DataError as `ImageIndex.find`."""
    find = functools.partial(
        ImageIndex.find,
        label_column=config.label_column,
        image_column=config.image_column,
        skip_broken=config.skip_broken,
    )
    index = find(config.source)
    return index if config.validation is None else index.with_validation(find(config.validation))


def looked_at(index: ImageIndex, config: TrainDataConfig) -> ImageIndex:
    """The data set after `preflight`, as a training with this config would decode it.

    Raises:
        DataError: see `preflight`.
    """
    size = config.image_size or DEFAULT_IMAGE_SIZE
    return preflight(
        index,
        train=TrainTransform(size, min_area=config.min_area),
        validation=EvalTransform(size, config.crop_fraction),
        skip_broken=config.skip_broken,
    )
