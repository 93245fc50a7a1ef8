"""The images of a final training: in memory, or where they are."""

from __future__ import annotations

from raynas.config import validated
from raynas.data import DIGITS, DataConfig, ImageSplit, load_split
from raynas.data.stream import ImageCounts, ImageIndex
from raynas.errors import DataError
from raynas.programs.train.config import TrainDataConfig

DEFAULT_IMAGE_SIZE = 224


IMAGENET = ImageCounts("ImageNet-1k", num_train_images=1_281_167, num_classes=1000)
"""For plans where it is not at hand. Source: Russakovsky et al. 2015 (arXiv 1409.0575), table 2."""


def find_data(
    config: TrainDataConfig, *, seed: int, is_plan: bool = False
) -> ImageSplit | ImageIndex | ImageCounts:
    """The images in memory, or where they are; DataError if they can't be used.

    Args:
        is_plan: nothing will be trained: where no streamed data is given, ImageNet's numbers are taken.
    """
    if not config.streamed:
        words = {
            "source": config.source,
            "image_size": config.image_size,
            "validation_images": config.validation_images,
        }
        return load_split(validated(DataConfig, words, where="data"), seed=seed)
    if config.source == DIGITS:
        if is_plan:
            return IMAGENET
        raise DataError(
            "This recipe streams images, and the digits are in memory. Give --data: Parquet shards or a "
            "folder of class folders, here or at s3:// or gs://."
        )
    index = ImageIndex.find(config.source, skip_broken=config.skip_broken)
    if index.validation is None:
        raise DataError(
            f"{config.source!r} has no validation images. Name files or folders validation, val or test, "
            "or train in memory with data.streamed=false, which holds some out."
        )
    return index
