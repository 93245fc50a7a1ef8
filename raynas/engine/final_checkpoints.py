"""Checkpoints of a final training on disk, as Ray Train keeps them in the training's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.train import Checkpoint

from raynas.errors import RunFolderError, WeightsError
from raynas.files import CHECKPOINTS_FOLDER, STATE_FILE, parse_json
from raynas.models.tensor_files import load_tensors
from raynas.training.final_checkpoint import checked_state

CHECKPOINT_LIST_FILE = "checkpoint_manager_snapshot.json"
"""Ray Train's list of the checkpoints that it would resume from."""


def has_checkpoint(folder: Path) -> bool:
    """Whether a training in `folder` would resume from a checkpoint.

    Raises:
        RunFolderError: Ray's list of checkpoints is garbled, or one of them is gone.
    """
    # Ray Train resumes from what is on its list, whatever folders there are.
    path = folder / CHECKPOINTS_FOLDER / CHECKPOINT_LIST_FILE
    if not path.is_file():
        return False
    try:
        names = [
            str(entry["checkpoint_dir_name"]) for entry in parse_json(path.read_bytes())["checkpoint_results"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{path} is no list of checkpoints: {error!r}. Restore it, or start a new training in another "
            "folder."
        ) from error
    # Looked at here, because in a worker a missing file would be found only after all of them have started.
    for name in names:
        state = folder / CHECKPOINTS_FOLDER / name / STATE_FILE
        if not state.is_file():
            raise RunFolderError(
                f"The checkpoint {state} is gone. Restore it, or start a new training in another folder."
            )
    return bool(names)


def load_state(checkpoint: Checkpoint, device: str) -> Mapping[str, Any]:
    """Loads a FinalTraining.state_dict; nothing but tensors and plain values is unpickled.

    Raises:
        RunFolderError: it can't be read, or is not such a state; names the file.
    """
    try:
        with checkpoint.as_directory() as folder:
            return checked_state(load_tensors(Path(folder) / STATE_FILE, device=device))
    except WeightsError as error:
        raise RunFolderError(
            f"The checkpoint {checkpoint.path}/{STATE_FILE} can't be read: {str(error).rstrip('.')}. Restore "
            "it, or start a new training in another folder."
        ) from error
