"""Where runs lie on disk.

runs/NAME/journal.jsonl    a run; its best cell lies beside the journal
runs/mlflow.db             MLflow's store of all runs in this folder
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import time
from collections.abc import Iterable
from pathlib import Path

from raynas.errors import RunFolderError
from raynas.files import JOURNAL_FILE, TRAINING_FILE, parse_json

RUNS = Path("runs")
_JOB_FOLDER = ("runtime_resources", "working_dir_files")
"""Below a folder of these names Ray unpacks the working directories of its jobs."""


def new_run_folder(space: str, strategy: str) -> Path:
    """A new, empty folder below runs/, named after the time, the space and the strategy.

    Raises:
        RunFolderError: no folder can be made there.
    """
    return _new_folder(name.rpartition(":")[2].lower() for name in (space, strategy))


def new_training_folder() -> Path:
    """A new, empty folder below runs/ for a final training, named after the time; errors as above."""
    return _new_folder(["training"])


def _new_folder(parts: Iterable[str]) -> Path:
    stem = "-".join([time.strftime("%Y%m%d-%H%M%S"), *parts])
    check_outlives_job(RUNS / stem)
    try:
        RUNS.mkdir(exist_ok=True)
        folder = _take(stem)
    except OSError as error:
        raise RunFolderError(
            f"{RUNS / stem} can't be made: {error.strerror}. Give a folder where you may write: "
            "--out FOLDER, out=FOLDER."
        ) from error
    # Absolute, because the program may be in another directory when it ends.
    atexit.register(_drop_if_empty, folder.absolute())
    return folder


def _take(stem: str) -> Path:
    """Makes the first folder of this name, or of this name and a number, that isn't there.

    Whoever looks first and makes it later shares it with those who look meanwhile.
    """
    number = 1
    while True:
        folder = RUNS / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


def _drop_if_empty(folder: Path) -> None:
    """Removes the folder of a run that was prepared and never began."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def check_outlives_job(folder: Path) -> None:
    """RunFolderError if `folder` lies where Ray has unpacked a job's files, which go with the job."""
    place = folder.resolve()
    if _JOB_FOLDER in itertools.pairwise(place.parts):
        raise RunFolderError(
            f"{place} lies in the working directory of a Ray job, which Ray deletes when the job "
            "has ended. Give the absolute path of a folder on storage that outlives the job: "
            "--out FOLDER, out=FOLDER, such as /mnt/shared/runs/NAME."
        )


def check_is_free(folder: Path) -> None:
    """RunFolderError if a run lies in `folder`, or if none can be kept there."""
    check_outlives_job(folder)
    if (folder / JOURNAL_FILE).exists():
        raise RunFolderError(
            f"{folder} already holds a run. Resume it (--resume, resume=True) or choose another folder."
        )
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file. Give a folder, or a path that does not exist yet.")


def find_run(folder: Path | None) -> Path:
    """`folder` if it holds a journal; without one, the newest run below runs/."""
    if folder is not None:
        if not (folder / JOURNAL_FILE).is_file():
            if (folder / TRAINING_FILE).is_file():
                raise RunFolderError(
                    f"{folder} holds a final training, and no search: there is no {JOURNAL_FILE} in it. "
                    "'raynas train --resume' goes on with it; give a search's folder here."
                )
            raise RunFolderError(
                f"{folder} holds no run: there is no {JOURNAL_FILE} in it.{_runs_listing(folder)}"
            )
        return folder
    # By the last write, so that a resumed run counts as newer than one that was begun after it.
    newest = max(_journals(RUNS), key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        raise RunFolderError(
            f"There is no run below {RUNS.resolve()}. Start one with 'raynas search', or give a folder."
        )
    return newest.parent


def holds_run(folder: Path, run_id: str) -> bool:
    """Whether the run or the training with this ID lies in a folder, as far as that can be read."""
    for name in (JOURNAL_FILE, TRAINING_FILE):
        try:
            with (folder / name).open("rb") as file:
                first = parse_json(file.readline() if name == JOURNAL_FILE else file.read())
        except (OSError, ValueError):
            continue
        if isinstance(first, dict) and first.get("run_id") == run_id:
            return True
    return False


def default_store(folder: Path) -> Path:
    """MLflow's SQLite file of the runs beside the run in `folder`."""
    return folder.parent / "mlflow.db"


def _journals(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*/{JOURNAL_FILE}"))


def _runs_listing(folder: Path) -> str:
    names = [str(path.parent) for path in _journals(folder)[-5:]] or [
        str(path.parent) for path in _journals(RUNS)[-5:]
    ]
    return f" Runs: {', '.join(names)}." if names else ""
