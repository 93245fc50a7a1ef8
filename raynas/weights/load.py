"""Reads weights and puts them into a network. Nothing is unpickled but tensors."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from raynas.errors import WeightsError
from raynas.nn import Network
from raynas.weights.timm_hub import fetch_from_timm
from raynas.weights.timm_names import from_timm, is_timm

TIMM_PREFIX = "timm:"


def read_weights(weights: str | Path | Mapping[str, Tensor], network: str) -> Mapping[str, Tensor]:
    """A state dict, with raynas's or timm's names.

    Args:
        weights: 'timm:TAG', a .safetensors, .pt or .pth file, or a state dict, which is returned.
        network: name of the published network, by which timm's is found.
    Raises:
        WeightsError: they can't be fetched or read.
    """
    if isinstance(weights, Mapping):
        return weights
    if str(weights).startswith(TIMM_PREFIX):
        return fetch_from_timm(str(weights).removeprefix(TIMM_PREFIX), network)
    return _read_file(Path(weights))


def load_weights(network: Network, state: Mapping[str, Tensor]) -> None:
    """Copies `state` into `network`; an auxiliary head that it lacks stays as it is.

    Raises:
        WeightsError: names the first missing, unexpected or misshapen tensors; nothing was copied.
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
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(
            f"There are no weights at {path}. Give a .safetensors or .pt file, or 'timm:TAG'."
        ) from None
    except (OSError, EOFError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise WeightsError(f"{path} can't be read as weights: {_first_line(error)}.") from error
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, and raynas unpickles nothing else: {_first_line(error)}. Save "
            "its state_dict() alone, best as .safetensors."
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no state dict: it must map names to tensors.")
    return state


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
