"""Labelled images from digits, Parquet files or class folders: one train and validation split in memory.

Needs NumPy; stream/ also torch. May import config and what is below it.
"""

from __future__ import annotations

from raynas.data.config import DataConfig
from raynas.data.load import DIGITS, load_split
from raynas.data.split import ImageSplit

__all__ = ["DIGITS", "DataConfig", "ImageSplit", "load_split"]
