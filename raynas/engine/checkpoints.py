"""Checkpoints of a final training, in its folder as Ray Train keeps them. Nothing but tensors and numbers is
unpickled.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ray.train import Checkpoint

from raynas.errors import RunFolderError
from raynas.training.device import is_out_of_memory

FOLDER = "checkpoints"
STATE_FILE = "state.pt"
SNAPSHOT = "checkpoint_manager_snapshot.json"
"""Ray's list of what it would go on from."""


def has_checkpoint(folder: Path) -> bool:
    """Whether a training in `folder` would go on from a checkpoint.

    Raises:
        RunFolderError: Ray's list of them is garbled, or one of it is gone.
    """
    path = folder / FOLDER / SNAPSHOT
    if not path.is_file():
        return False
    try:
        names = [
            str(entry["checkpoint_dir_name"]) for entry in json.loads(path.read_text())["checkpoint_results"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{path} is no list of checkpoints: {error!r}. Restore it, or train anew with another --out."
        ) from error
    for name in names:
        state = folder / FOLDER / name / STATE_FILE
        if not state.is_file():
            raise RunFolderError(
                f"The checkpoint {state} is gone. Restore it, or train anew with another --out."
            )
    return bool(names)


def load_state(checkpoint: Checkpoint, device: str) -> Mapping[str, Any]:
    """What FinalTraining.state_dict gave.

    Raises:
        RunFolderError: it can't be read; names it.
    """
    try:
        with checkpoint.as_directory() as folder:
            state: Mapping[str, Any] = torch.load(
                Path(folder) / STATE_FILE, map_location=device, weights_only=True
            )
    except (OSError, EOFError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        if is_out_of_memory(error):
            raise
        # Its first sentence: torch goes on with guesses.
        reason = str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".")
        raise RunFolderError(
            f"The checkpoint {checkpoint.path}/{STATE_FILE} can't be read: {reason}. Restore it, or train "
            "anew with another --out."
        ) from error
    return state
