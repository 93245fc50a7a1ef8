"""Weights from wherever a user has them: a state dict, a file, a folder of raynas's, or timm.

`read_weights` gives the tensors with their network's names, `fit_weights` in raynas.models.fitting makes them
fit a network.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from raynas.errors import ModelError, WeightsError
from raynas.files import CHECKPOINTS_FOLDER, JOURNAL_FILE, LAST_MODEL_FOLDER, STATE_FILE, TRAINING_FILE
from raynas.models.folder import WEIGHTS_FILE, ModelInfo, is_model, read_info
from raynas.models.tensor_files import TENSOR_SUFFIXES, read_tensor_file
from raynas.models.timm_hub import fetch_from_timm
from raynas.models.wrappings import unwrapped

TIMM_PREFIX = "timm:"


@dataclass(frozen=True, slots=True)
class Weights:
    """Trained tensors, and what is known of them.

    Attributes:
        source: what the user gave, or 'the state dict'.
        state: finite tensors with raynas's or timm's names; floating-point ones are float32.
        info: description of the network, where a model folder has one.
        notes: what was chosen and changed on the way, each a phrase.
    """

    source: str
    state: Mapping[str, Tensor]
    info: ModelInfo | None = None
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes in the order of the logits, if they are known."""
        return None if self.info is None else self.info.classes

    def digest(self) -> str:
        """16 hex digits, equal for equal names and tensors, however they were wrapped."""
        digest = hashlib.sha256()
        for key in sorted(self.state):
            tensor = self.state[key].contiguous()
            digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]


def read_weights(source: str | Path | Mapping[str, object], network: str) -> Weights:
    """Reads weights in any common wrapping; see `unwrapped`.

    Args:
        source: one of
            - 'timm:TAG' or 'timm:NAME.TAG', such as 'timm:nasnetalarge.tf_in1k';
            - a file that ends in one of TENSOR_SUFFIXES;
            - a folder with such a file, a model folder, a training checkpoint, or the folder of a training:
              the network of its last epoch, or if it hasn't ended its newest checkpoint;
            - a state dict, or a dict that holds one.
        network: name of the published network, for 'timm:TAG'.
    Raises:
        WeightsError: the weights can't be fetched or read, or are not finite.
    """
    if isinstance(source, Mapping):
        return _checked("the state dict", source)
    if str(source).startswith(TIMM_PREFIX):
        return _checked(str(source), fetch_from_timm(str(source).removeprefix(TIMM_PREFIX), network))
    path = weights_file(source)
    return _checked(str(source), read_tensor_file(path), _info_beside(path))


def weights_file(source: str | Path) -> Path:
    """The file that has the weights of a file or folder.

    Raises:
        WeightsError: there is none, or there are several.
    """
    if "://" in str(source):
        raise WeightsError(f"{source}: weights are read from this machine's disk. Fetch the file first.")
    place = Path(source)
    return _in_folder(place) if os.path.isdir(place) else place


def known_info(source: str | Path) -> ModelInfo | None:
    """The description of the network whose weights `source` has, without reading them; None if there is none.

    Raises:
        WeightsError: as `weights_file`.
    """
    return None if str(source).startswith(TIMM_PREFIX) else _info_beside(weights_file(source))


def _in_folder(folder: Path) -> Path:
    if is_model(folder):
        return folder / WEIGHTS_FILE
    if is_model(folder / LAST_MODEL_FOLDER):
        return folder / LAST_MODEL_FOLDER / WEIGHTS_FILE
    if (folder / TRAINING_FILE).is_file():
        return _newest_checkpoint(folder)
    if (folder / JOURNAL_FILE).is_file():
        raise WeightsError(
            f"{folder} holds a search or a promotion, which keeps cells and no weights. Train its best cell "
            f"first: raynas train {folder}."
        )
    files = sorted(path for path in folder.iterdir() if path.suffix in TENSOR_SUFFIXES)
    if len(files) == 1:
        return files[0]
    found = (
        f"{len(files)} files of weights: {', '.join(path.name for path in files[:4])}"
        if files
        else "no weights"
    )
    raise WeightsError(
        f"{folder} holds {found}. Give one file, the folder of a training or of a trained network, or "
        "'timm:NAME'."
    )


def _newest_checkpoint(folder: Path) -> Path:
    # Their names are the times at which they were written.
    states = sorted((folder / CHECKPOINTS_FOLDER).glob(f"*/{STATE_FILE}"))
    if not states:
        raise WeightsError(f"The training in {folder} has no checkpoint yet. Let it train, or give another.")
    return states[-1]


def _info_beside(path: Path) -> ModelInfo | None:
    """The description that raynas wrote with a safetensors file; None if there is none."""
    place = path.parent if path.name == WEIGHTS_FILE and is_model(path.parent) else path
    if path.suffix != ".safetensors" or not is_model(place):
        return None
    try:
        return read_info(place)
    except ModelError:
        if place is path:
            # NAME.json beside NAME.safetensors may be anybody's.
            return None
        raise


def _checked(source: str, value: object, info: ModelInfo | None = None) -> Weights:
    """The state dict in `value`, as float32.

    Raises:
        WeightsError: there is none, or a number in it isn't finite.
    """
    found = unwrapped(value, source)
    converted: set[str] = set()
    state: dict[str, Tensor] = {}
    for key, tensor in found.state.items():
        state[key] = _plain(tensor.detach(), key, source)
        if state[key].dtype != tensor.dtype:
            converted.add(str(tensor.dtype).removeprefix("torch."))
    broken = [key for key, tensor in state.items() if not tensor.isfinite().all()]
    if broken:
        raise WeightsError(
            f"{source} has numbers that are not finite (NaN or infinity) in {len(broken)} of its "
            f"{len(state)} tensors, the first {broken[0]}. The training that they are from diverged: take an "
            "earlier checkpoint of it."
        )
    types = [f"{' and '.join(sorted(converted))} converted to float32"] if converted else []
    return Weights(source, state, info, (*found.notes, *types))


def _plain(tensor: Tensor, key: str, source: str) -> Tensor:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        kind = "quantised" if tensor.is_quantized else "without data" if tensor.is_meta else "sparse"
        raise WeightsError(f"{source}: {key} is {kind}. Save the tensors as plain ones.")
    return tensor.to("cpu", torch.float32) if tensor.is_floating_point() else tensor.cpu()
