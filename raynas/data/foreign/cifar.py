"""Reads the folders cifar-10-batches-py and cifar-100-python, which torchvision downloads.

Source of the format: https://www.cs.toronto.edu/~kriz/cifar.html.
"""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from raynas.data.foreign.arrays import LabelledArrays, labelled_arrays, splits_of_arrays
from raynas.data.foreign.pickles import read_pickle
from raynas.data.layout import Split
from raynas.data.source_images import SourceSplits
from raynas.errors import DataError

_PIXELS = 3 * 32 * 32


def read_cifar(folder: Path) -> SourceSplits:
    """The training and the test images; of CIFAR-100 with the 100 fine labels.

    All images are held in memory, which are 184 MB.

    Raises:
        DataError: a file is missing or damaged, or has something else in it than these data sets.
    """
    is_ten = (folder / "data_batch_1").is_file()
    meta, names_key = ("batches.meta", b"label_names") if is_ten else ("meta", b"fine_label_names")
    names = _class_names(folder / meta, names_key)
    files: dict[Split, list[str]] = {
        "train": [f"data_batch_{number}" for number in range(1, 6)] if is_ten else ["train"],
        "validation": ["test_batch" if is_ten else "test"],
    }
    labels_key = b"labels" if is_ten else b"fine_labels"
    parts = {
        split: [_read_batch(folder / file, labels_key, len(names)) for file in of_split]
        for split, of_split in files.items()
    }
    return splits_of_arrays(
        f"batches of CIFAR-{'10' if is_ten else '100'}",
        parts,
        places={"validation": files["validation"][0]},
        class_names=names,
    )


def _read_batch(file: Path, labels_key: bytes, num_classes: int) -> LabelledArrays:
    batch = read_pickle(file)
    data = _value(file, batch, b"data")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (_PIXELS,):
        kind = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"'data' of {file} is {kind}; allowed is an array of uint8 (N, {_PIXELS}).")
    labels = _value(file, batch, labels_key)
    is_listing = isinstance(labels, list) and all(type(label) is int for label in labels)
    if not is_listing or any(abs(label) >= 2**31 for label in labels):
        raise DataError(f"{labels_key.decode()!r} of {file} is not a list of integers below 2**31.")
    images_NHWC = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    keys = ("data", labels_key.decode())
    return labelled_arrays(
        file, images_NHWC, np.array(labels, dtype=np.int64), keys=keys, num_classes=num_classes
    )


def _class_names(file: Path, key: bytes) -> list[str]:
    names = _value(file, read_pickle(file), key)
    try:
        texts = [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in names]
    except (TypeError, UnicodeDecodeError) as error:
        raise DataError(f"{key.decode()!r} of {file} is not a list of names: {error}.") from error
    if not texts or len(set(texts)) < len(texts) or not all(text.isprintable() for text in texts):
        raise DataError(f"{key.decode()!r} of {file} must be names that all differ, and is {texts[:5]}.")
    return texts


def _value(file: Path, content: Mapping[Any, Any], key: bytes) -> Any:
    """The value of a key, which is text where Python 3 wrote the file."""
    value = content.get(key, content.get(key.decode()))
    if value is None:
        known = ", ".join(repr(name) for name in content if isinstance(name, bytes | str))[:200]
        raise DataError(f"{file} has no key {key.decode()!r}, but {known}. Download it again.")
    return value
