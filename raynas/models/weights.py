"""Reads weights and loads them into a network. Nothing but tensors is unpickled."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from raynas.errors import WeightsError
from raynas.models.timm_hub import fetch_from_timm
from raynas.models.timm_names import from_timm, is_timm
from raynas.nn import Network

TIMM_PREFIX = "timm:"


def read_weights(weights: str | Path | Mapping[str, Tensor], network: str) -> Mapping[str, Tensor]:
    """A state dict, with raynas's or timm's parameter names.

    Args:
        weights: 'timm:TAG', a .safetensors, .pt or .pth file, or a state dict, which is returned as it is.
        network: name of the published network, for 'timm:TAG'.
    Raises:
        WeightsError: the weights can't be fetched or read.
    """
    if isinstance(weights, Mapping):
        return weights
    if str(weights).startswith(TIMM_PREFIX):
        return fetch_from_timm(str(weights).removeprefix(TIMM_PREFIX), network)
    return _read_file(Path(weights))


def load_weights(network: Network, state: Mapping[str, Tensor]) -> None:
    """Copies `state` into `network`; if `state` has no auxiliary head, the network's stays as it is.

    Raises:
        WeightsError: tensors are missing, unexpected or of another shape; the first ones are named, and
            nothing was copied.
    """
    if is_timm(state):
        state = from_timm(state, network)
    own = network.state_dict()
    if not any(key.startswith("auxiliary.") for key in state):
        own = {key: value for key, value in own.items() if not key.startswith("auxiliary.")}
    problems = [
        *_listed("missing", [key for key in own if key not in state]),
        *_listed("unexpected", [key for key in state if key not in own]),
        *_listed(
            "of another shape",
            [
                f"{key} {tuple(state[key].shape)}, here {tuple(own[key].shape)}"
                for key in own
                if key in state and state[key].shape != own[key].shape
            ],
        ),
    ]
    if problems:
        raise WeightsError(
            f"The weights don't fit this network. {' '.join(problems)} Build the network with the cell, "
            "sizes and number of classes that they were trained with."
        )
    network.load_state_dict(dict(state), strict=False)


def _listed(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    return [f"{len(names)} {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}."]


def _read_file(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"There are no weights at {path}. Give a .safetensors or .pt file, or 'timm:TAG'.")
    state = _read_safetensors(path) if path.suffix == ".safetensors" else load_tensors(path)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no state dict: it must map names to tensors.")
    return state


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    # A damaged file raises not only the library's own error but also KeyError, TypeError, MemoryError, ...
    except Exception as error:
        raise WeightsError(f"{path} can't be read as weights: {_first_line(error)}.") from error


def load_tensors(path: Path, *, device: str = "cpu") -> Any:
    """What `torch.save` wrote, as long as it is tensors, numbers and containers of them.

    Raises:
        WeightsError: the file is damaged, or holds anything else; that is not unpickled.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, or is damaged, and raynas unpickles nothing else: "
            f"{_first_line(error)}. Save its state_dict() alone, best as .safetensors."
        ) from error
    except torch.OutOfMemoryError:
        raise
    # A damaged pickle can raise anything, depending on where its instructions lead.
    except Exception as error:
        raise WeightsError(f"{path} can't be read as weights: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
