"""Reads what torch.save and safetensors wrote. Nothing but tensors and plain values is unpickled."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from raynas.errors import WeightsError

TENSOR_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")
"""How files of weights end: safetensors, and the names that people give to what torch.save writes."""
_LFS_POINTER = b"version https://git-lfs"


def read_tensor_file(path: Path) -> Any:
    """The content of a file, on the CPU: a state dict, or whatever else was saved with it.

    Raises:
        WeightsError: there is no such file, it is damaged, or it holds what is not unpickled.
    """
    _check_is_there(path)
    return _read_safetensors(path) if path.suffix == ".safetensors" else load_tensors(path)


def load_tensors(path: Path, *, device: str = "cpu") -> Any:
    """What `torch.save` wrote, as long as it is tensors, numbers and containers of them.

    Raises:
        WeightsError: the file is damaged, or holds anything else; that is not unpickled.
    """
    try:
        # A Namespace is a plain record. timm's training script and many others save their arguments as one.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, or is damaged, and raynas unpickles nothing else: "
            f"{_first_line(error)}. Save its state_dict() alone, best as .safetensors. If you trust whoever "
            "made the file, and where its classes can be imported, this does it: saved = "
            f"torch.load({str(path)!r}, weights_only=False); torch.save(saved.state_dict(), 'weights.pt'), "
            "or saved['model'] and the like instead of saved.state_dict() if it is a dict."
        ) from error
    except torch.OutOfMemoryError:
        raise
    # A damaged pickle can raise anything, depending on where its instructions lead.
    except Exception as error:
        raise WeightsError(f"{path} can't be read as weights: {_first_line(error)}.") from error


def _check_is_there(path: Path) -> None:
    try:
        with path.open("rb") as file:
            beginning = file.read(len(_LFS_POINTER))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WeightsError(
            f"There are no weights at {path}: {reason}. Give a file ({', '.join(TENSOR_SUFFIXES)}), the "
            "folder of a training or of a trained network, or 'timm:NAME'."
        ) from error
    if beginning == _LFS_POINTER:
        raise WeightsError(
            f"{path} is a pointer of Git LFS to the weights, not the weights. Fetch them: git lfs pull."
        )


def _read_safetensors(path: Path) -> Any:
    try:
        return safetensors.torch.load_file(path)
    # A damaged file raises not only the library's own error but also KeyError, TypeError, MemoryError, ...
    except Exception as error:
        raise WeightsError(f"{path} can't be read as weights: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
