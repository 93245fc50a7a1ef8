"""Where runs lie on disk.

runs/NAME/journal.jsonl    a run; its best cell lies beside the journal
runs/mlflow.db             MLflow's store of all runs in this folder
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from raynas.errors import RunFolderError
from raynas.files import JOURNAL_FILE, TRAINING_FILE

RUNS = Path("runs")


def new_run_folder(space: str, strategy: str) -> Path:
    """A folder below runs/ that does not exist yet, named after the time, the space and the strategy."""
    return _new_folder(name.rpartition(":")[2].lower() for name in (space, strategy))


def new_training_folder() -> Path:
    """A folder below runs/ that does not exist yet, for a final training, named after the time."""
    return _new_folder(["training"])


def _new_folder(parts: Iterable[str]) -> Path:
    name = "-".join([time.strftime("%Y%m%d-%H%M%S"), *parts])
    folder, number = RUNS / name, 1
    while folder.exists():
        number += 1
        folder = RUNS / f"{name}-{number}"
    return folder


def check_is_free(folder: Path) -> None:
    """RunFolderError if a run lies in `folder`, or if it can't become a folder."""
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
    newest = max(_journals(RUNS), key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        raise RunFolderError(
            f"There is no run below {RUNS.resolve()}. Start one with 'raynas search', or give a folder."
        )
    return newest.parent


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
