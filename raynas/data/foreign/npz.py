"""Reads images and labels from a .npz file of NumPy, such as Keras's mnist.npz and those of MedMNIST.

Types and sizes are checked in the headers, before any array is read. Python objects are refused.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from raynas.data.foreign.arrays import (
    LabelledArrays,
    check_images,
    check_labels,
    labelled_arrays,
    splits_of_arrays,
)
from raynas.data.layout import LeftOut, Split
from raynas.data.source_images import SourceSplits
from raynas.errors import DataError

MAX_BYTES = 16_000_000_000
"""Size of the largest array that is read; all arrays of a file are held in memory."""
_Keys = tuple[str, str]
_TRAIN: tuple[_Keys, ...] = (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"))
_HELD_OUT: Mapping[_Keys, tuple[_Keys, ...]] = {
    ("x_train", "y_train"): (("x_val", "y_val"), ("x_test", "y_test")),
    ("train_images", "train_labels"): (("val_images", "val_labels"), ("test_images", "test_labels")),
    ("images", "labels"): (),
}
"""Names of the images and labels that are held out, the first of which that a file has are taken."""
_Header = tuple[tuple[int, ...], "np.dtype[np.generic]"]


def read_npz(file: Path) -> SourceSplits:
    """The training images and those that are held out: a test set only where nothing is for validation.

    Raises:
        DataError: the file is damaged, or a key, a type, a shape or a label is not allowed.
    """
    with _explained(file):
        headers = _headers(file)
        keys: dict[Split, _Keys] = {"train": _find(file, _TRAIN, headers)}
        held_out = [pair for pair in _HELD_OUT[keys["train"]] if set(pair) & set(headers)]
        if held_out:
            keys["validation"] = _find(file, held_out[:1], headers)
        for images, labels in keys.values():
            _check(file, (images, labels), headers)
        parts: dict[Split, list[LabelledArrays]] = {}
        with np.load(file, allow_pickle=False) as arrays:
            for split, (images, labels) in keys.items():
                parts[split] = [labelled_arrays(file, arrays[images], arrays[labels], keys=(images, labels))]
    return splits_of_arrays(
        f"NumPy arrays in {file.name}",
        parts,
        places={split: pair[0] for split, pair in keys.items() if len(keys) > 1},
        class_names=None,
        left_out=tuple(_left_out(images, headers) for images, _ in held_out[1:] if images in headers),
    )


def _left_out(key: str, headers: Mapping[str, _Header]) -> LeftOut:
    shape = headers[key][0]
    return LeftOut(shape[0] if shape else 1, "image", "of a test set that is not needed", key)


def _find(file: Path, allowed: Sequence[_Keys], headers: Mapping[str, _Header]) -> _Keys:
    for pair in allowed:
        if set(pair) <= set(headers):
            return pair
    known = ", ".join(headers)[:300] or "none"
    wanted = ", or ".join(" and ".join(pair) for pair in allowed)
    raise DataError(
        f"{file} has the keys {known}. Needed are {wanted}. Save the arrays under these names, with "
        "numpy.savez(file, images=..., labels=...)."
    )


def _check(file: Path, keys: _Keys, headers: Mapping[str, _Header]) -> None:
    (shape, dtype), (labels_shape, labels_dtype) = (headers[key] for key in keys)
    check_images(file, keys[0], dtype, shape)
    check_labels(file, keys[1], labels_dtype, labels_shape, shape[0])
    num_bytes = math.prod(shape)
    if num_bytes > MAX_BYTES:
        raise DataError(
            f"{keys[0]!r} of {file} has the shape {shape}, which are {num_bytes:,} bytes. At most "
            f"{MAX_BYTES:,} are allowed. Write the images as files, in one folder per class."
        )


def _headers(file: Path) -> dict[str, _Header]:
    """Shape and type of each array, by its key, from the beginning of its part of the file."""
    with zipfile.ZipFile(file) as members:
        names = [name for name in members.namelist() if name.endswith(".npy")]
        return {name.removesuffix(".npy"): _header(members, name) for name in names}


def _header(members: zipfile.ZipFile, name: str) -> _Header:
    with members.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Turns what zipfile and NumPy raise on a damaged file into a DataError."""
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"The arrays of {file} don't fit into memory. Use a machine with more.") from error
    except Exception as error:  # A damaged zip file raises errors of almost any type.
        raise DataError(
            f"{file} can't be read as a .npz file of plain arrays: {error}. Download or save it again."
        ) from error
