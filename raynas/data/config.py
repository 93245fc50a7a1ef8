"""Settings of the data; classes, channels and statistics are found in the data itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from raynas.config import FrozenModel

MAX_IMAGE_SIZE = 8192
"""Largest setting of an image size, in pixels per side."""
DEFAULT_LABEL_COLUMN = "label"


class DataConfig(FrozenModel):
    """Where the labelled images are and how many of them a search uses."""

    source: str = Field("digits", min_length=1)
    """'digits' (1,797 grey 8x8 images that come with scikit-learn), or the path of a Parquet file in the
    Hugging Face layout, of a folder of such files, of a CSV file of labels beside images (or its folder), or
    of a folder with one sub folder of images per class."""

    validation: str | None = Field(None, min_length=1)
    """Path of the validation images, of any kind that `source` may be, with the same classes. Defaults to the
    validation images in the source itself (val/ beside train/), or else to images that are held out."""

    train_images: int | None = Field(None, ge=1)
    """Number of images that children are trained on. Defaults to all that are not held out for validation."""

    validation_images: int | None = Field(None, ge=1)
    """Number of images that measure children. Defaults to all validation images, where the data has its own,
    and else to a tenth that is held out, as in Zoph et al. 2018 (5,000 of 50,000)."""

    image_size: int | None = Field(None, ge=4, le=MAX_IMAGE_SIZE)
    """Pixels per side to which every image is scaled and cropped. Defaults to the median short side, and to
    at most 64 in a search and 224 in a final training."""

    max_broken: float = Field(0.01, ge=0, le=1)
    """Largest share of the images that is left out, with a word, because they can't be decoded or are too
    small or too large. Where more are broken, nothing is trained."""

    label_column: str = Field(DEFAULT_LABEL_COLUMN, min_length=1)
    """Name of the column of class indexes, integers from 0, in Parquet files."""

    image_column: str | None = Field(None, min_length=1)
    """Name of the column of images in Parquet files. Defaults to image or img, or else to the only column of
    images."""


def uses_digits(settings: Mapping[str, Any]) -> bool:
    """Whether these settings of a search or training use the default data source, the digits."""
    data = settings.get("data", {})
    return isinstance(data, Mapping) and data.get("source", "digits") == "digits"
