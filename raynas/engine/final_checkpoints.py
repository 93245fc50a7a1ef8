"""Checkpoints of a final training, in its folder as Ray Train keeps them. Nothing but tensors and numbers is
unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.train import Checkpoint

from raynas.errors import RunFolderError, WeightsError
from raynas.files import parse_json
from raynas.models.weights import load_tensors
from raynas.training.final_checkpoint import checked_state

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
            str(entry["checkpoint_dir_name"]) for entry in parse_json(path.read_bytes())["checkpoint_results"]
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
        RunFolderError: it can't be read, or is none; names it.
    """
    try:
        with checkpoint.as_directory() as folder:
            return checked_state(load_tensors(Path(folder) / STATE_FILE, device=device))
    except WeightsError as error:
        raise RunFolderError(
            f"The checkpoint {checkpoint.path}/{STATE_FILE} can't be read: {str(error).rstrip('.')}. Restore "
            "it, or train anew with another --out."
        ) from error
