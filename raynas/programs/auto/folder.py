"""The folder of an automatic run: its state in auto.json, and a folder for each stage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raynas.config import differences, validated
from raynas.errors import RunFolderError
from raynas.files import parse_json, replace_file
from raynas.programs.auto.config import STATE_FILE, AutoConfig, AutoState, Session
from raynas.run.folder import RUNS, check_outlives_job

SEARCH, PROMOTION, WINNER = "search", "promotion", "winner"
REPORT = "report.html"
MAY_CHANGE = ("tracking", "workers", "export")
"""Settings on which no score depends: the same run may be continued with others."""


def default_folder(data: str) -> Path:
    """A folder named after the data, so that the same command continues the same run."""
    return RUNS / f"auto-{Path(data).resolve().name or 'data'}"


def read_state(folder: Path, config: AutoConfig) -> AutoState | None:
    """The state of the run in `folder`; None if a new one can begin there.

    Raises:
        RunFolderError: the folder holds something else, or a run of other settings.
    """
    check_outlives_job(folder)
    path = folder / STATE_FILE
    if not path.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunFolderError(
                f"{folder} holds something else: there is no {STATE_FILE} in it. Choose a folder that is "
                "empty or does not exist yet (--out, out=)."
            )
        return None
    try:
        recorded: Mapping[str, Any] = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} can't be read as JSON: {error}. Restore it, or begin anew.") from error
    state = validated(AutoState, recorded, where=STATE_FILE)
    for field, (old, new) in differences(state.config.model_dump(), config.model_dump()).items():
        if field.split(".")[0] not in MAY_CHANGE:
            raise RunFolderError(
                f"The run in {folder} was started with {field} = {old!r}, not {new!r}. The same command "
                "continues it; for another run choose another folder (--out, out=)."
            )
    return state.model_copy(update={"config": config})


class StateFile:
    """The state of a run at work, on disk after every change."""

    def __init__(self, folder: Path, state: AutoState, *, began: float | None = None) -> None:
        now = time.time()
        session = Session(began=now if began is None else began, seen=now)
        self.folder = folder
        self.state = state.model_copy(update={"sessions": (*state.sessions, session)})
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    def touch(self) -> None:
        """Counts the time until now as work."""
        self.update()

    def update(self, **fields: Any) -> None:
        """Changes fields of the state, and counts the time until now as work."""
        *before, last = self.state.sessions
        sessions = (*before, last.model_copy(update={"seen": max(time.time(), last.seen)}))
        self.state = self.state.model_copy(update={"sessions": sessions, **fields})
        self._write()

    def seconds_left(self) -> float:
        """Seconds of the hours that are left from now on."""
        self.touch()
        return self.state.seconds_left

    def _write(self) -> None:
        text = self.state.model_dump_json(indent=1) + "\n"
        replace_file(self.folder / STATE_FILE, lambda path: path.write_text(text))
