"""Labelled images from digits, Parquet files or class folders: one train and validation split in memory.

Needs NumPy and pyarrow, which are loaded at their first use; stream/ also needs torch. May import config and
what is below it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from raynas.data.config import DataConfig

if TYPE_CHECKING:
    from raynas.data.load import DIGITS, load_split
    from raynas.data.split import ImageSplit

__all__ = ["DIGITS", "DataConfig", "ImageSplit", "load_split"]

_MODULES = {"DIGITS": "load", "load_split": "load", "ImageSplit": "split"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'raynas.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"raynas.data.{_MODULES[name]}"), name)
