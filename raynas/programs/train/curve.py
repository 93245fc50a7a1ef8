"""The curve of a final training in its folder: one line of JSON per epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from raynas.errors import RunFolderError
from raynas.files import CURVE_FILE, drop_torn_line
from raynas.training.final_config import EpochSummary

Summary = TypeVar("Summary", bound=EpochSummary)


class Curve(Generic[Summary]):
    """The epochs of a training so far, in memory and in its folder.

    Args:
        kind: class of the summaries, which depends on the training's task.

    Attributes:
        kind: class of the summaries.
        summaries: one per epoch, in order.
    """

    def __init__(self, folder: Path, kind: type[Summary]) -> None:
        self.kind = kind
        self._path = folder / CURVE_FILE
        self.summaries = read_curve(folder, kind)

    def append(self, summary: Summary) -> bool:
        """Adds an epoch and returns True, or returns False if it was there already."""
        # Workers that start again from a checkpoint repeat epochs; the first account of an epoch is kept.
        if self.summaries and summary.epoch <= self.summaries[-1].epoch:
            return False
        with self._path.open("a") as file:
            file.write(summary.model_dump_json() + "\n")
        self.summaries.append(summary.without_images())
        return True


def read_curve(folder: Path, kind: type[Summary]) -> list[Summary]:
    """The epochs that were recorded, without a last line that a crash cut off.

    Raises:
        RunFolderError: a line is damaged.
    """
    path = folder / CURVE_FILE
    if not path.is_file():
        return []
    drop_torn_line(path)
    try:
        return [kind.model_validate_json(line) for line in path.read_bytes().splitlines()]
    except ValidationError as error:
        raise RunFolderError(
            f"{path} is damaged: {error.errors()[0]['msg']}. Correct or remove it; the checkpoints don't "
            "depend on it."
        ) from None
