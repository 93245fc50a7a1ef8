"""Reads a dict of plain values and arrays from a Python pickle of which nothing is trusted.

A pickle names functions and calls them. Here each name that is allowed means a stand-in of this file, so that
no function of Python or NumPy is ever called by a pickle; any other name is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from raynas.errors import DataError

MAX_FILE_BYTES = 1_000_000_000
"""Size of the largest pickle that is read; that of the 50,000 images of CIFAR-100 has 155 MB."""
_TYPES = {name: np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")}


def read_pickle(file: Path) -> dict[Any, Any]:
    """The dict in a pickle, whose values are plain ones (numbers, text, lists, ...) or arrays of integers.

    Text of Python 2 becomes bytes.

    Raises:
        DataError: the file is missing, damaged or too large, or has anything else in it.
    """
    content = _read(file)
    try:
        _check_operations(content)
        value = _Reader(io.BytesIO(content), encoding="bytes").load()
        if not isinstance(value, dict):
            raise _Refused(f"a {type(value).__name__} in place of a dict")
        return {key: below.finished() if isinstance(below, _Array) else below for key, below in value.items()}
    except _Refused as error:
        raise DataError(
            f"{file} is a pickle with {error}. Allowed is a dict of plain values and arrays of integers, and "
            "nothing of it was run. Use the files of the data set's authors."
        ) from error
    except Exception as error:  # A damaged pickle raises errors of almost any type.
        raise DataError(f"{file} can't be read as a pickle: {error}. Download it again.") from error


def _read(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DataError(f"{file} has {size:,} bytes; at most {MAX_FILE_BYTES:,} are allowed in a pickle.")
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}. Restore it.") from error


class _Refused(Exception):
    """What the pickle has and must not have, as a phrase."""


class _Array:
    """Stands for an array, which `finished` makes once the pickle has been read."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def finished(self) -> NDArray[np.generic]:
        _, shape, kind, is_fortran, raw = self.state
        if not isinstance(kind, _Type) or not isinstance(raw, bytes) or is_fortran:
            raise _Refused("an array that is not one of integers, row by row")
        dtype = _TYPES[kind.name].newbyteorder(kind.order)
        if not all(isinstance(side, int) and side >= 0 for side in shape):
            raise _Refused(f"an array of the shape {shape!r}")
        if math.prod(shape) * dtype.itemsize != len(raw):
            raise _Refused(f"an array of the shape {shape!r} with {len(raw):,} bytes")
        return np.frombuffer(raw, dtype).reshape(shape)


class _Type:
    """Stands for the type of an array's elements."""

    __slots__ = ("name", "order")

    def __init__(self, name: Any) -> None:
        self.name = name.decode("ascii") if isinstance(name, bytes) else name
        self.order: Literal["<", ">"] = "<"
        if self.name not in _TYPES:
            raise _Refused(f"an array of the type {self.name!r}")

    def __setstate__(self, state: Any) -> None:
        self.order = ">" if state[1] in (">", b">") else "<"


def _encoded(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise _Refused(f"text in the encoding {encoding!r}")
    return text.encode("latin1")


def _not_called(*arguments: Any) -> NoReturn:
    raise _Refused("a call of numpy.ndarray")


_ALLOWED: Mapping[str, Callable[..., Any]] = {
    "numpy.core.multiarray._reconstruct": lambda *arguments: _Array(),
    "numpy._core.multiarray._reconstruct": lambda *arguments: _Array(),
    "numpy.ndarray": _not_called,
    "numpy.dtype": lambda name, *arguments: _Type(name),
    "_codecs.encode": _encoded,
}


class _Global:
    """Stands for a function that the pickle names. A pickle can call it, and change nothing of it."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *arguments: Any) -> Any:
        return _ALLOWED[self._name](*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        raise _Refused(f"a change of {self._name}")


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in _ALLOWED:
            raise _Refused(f"the name {full}")
        return _Global(full)


def _check_operations(content: bytes) -> None:
    """Refuses operations that take more memory than the file has bytes."""
    for operation, argument, _ in pickletools.genops(content):
        is_place = operation.name in ("PUT", "LONG_BINPUT")
        if is_place and not 0 <= int(argument or 0) <= len(content):
            raise _Refused(f"the place {argument} for a value")
