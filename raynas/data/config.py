"""What the user says about the data; everything else (classes, channels, statistics) is found in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from raynas.config import FrozenModel

MAX_IMAGE_SIZE = 8192
"""Pixels per side."""


class DataConfig(FrozenModel):
    """Where the labelled images are and how many of them a search uses."""

    source: str = Field("digits", min_length=1)
    """'digits' (1,797 grey 8x8 images that come with scikit-learn), or the path of a Parquet file in the
    Hugging Face layout, of a folder of such files, or of a folder with one sub folder of images per class."""

    train_images: int | None = Field(None, ge=1)
    """Images that children are trained on. None: all that validation leaves."""

    validation_images: int | None = Field(None, ge=1)
    """Images held out to measure children. None: a tenth, as 5,000 of 50,000 in Zoph et al. 2018."""

    image_size: int | None = Field(None, ge=4, le=MAX_IMAGE_SIZE)
    """Pixels per side that every image is brought to. None: the median short side of the images."""

    label_column: str = Field("label", min_length=1)
    """Parquet only: the column of class indexes, integers from 0."""


def uses_digits(settings: Mapping[str, Any]) -> bool:
    """Whether the data is the default."""
    data = settings.get("data", {})
    return isinstance(data, Mapping) and data.get("source", "digits") == "digits"
