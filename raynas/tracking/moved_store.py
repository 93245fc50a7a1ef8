"""A runs folder that was moved or copied: the paths that its SQLite store holds follow it.

MLflow writes down once, in absolute form, where the artifacts of an experiment, a run and a model lie. In a
folder that has got another path since then, these would lead to the old place, and a copy would write into
the original.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import sqlalchemy

from raynas.files import is_same_file

logger = logging.getLogger("raynas.tracking")

ARTIFACTS_FOLDER = "mlartifacts"
"""Name of the folder beside a SQLite store that has its artifacts."""
FOLDER_TAG = "raynas.run_folder"
"""Tag with the absolute path of the run's folder."""
ARTIFACT_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Where a store of MLflow holds paths of artifacts, as tables and columns."""


def follow_its_folder(uri: str, store: Path) -> None:
    """Lets the paths in a SQLite store begin with the folder in which it lies now; says so in one warning.

    Only artifacts that raynas put beside the store are meant, never a bucket or another folder. Several
    processes may do this at the same time.

    Args:
        store: the absolute path of the SQLite file that `uri` names.
    """
    engine = sqlalchemy.create_engine(uri)
    try:
        with engine.connect() as connection:
            if not _former_locations(connection, store):
                return
            connection.rollback()
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            # Asked again: another process may have changed the paths in between.
            locations = _former_locations(connection, store)
            for location in locations:
                _replace(connection, location, store.parent)
            connection.commit()
    finally:
        engine.dispose()
    for folder in sorted({str(_folder_of(location)) for location in locations}):
        logger.warning(
            "The MLflow store %s was moved or copied: its paths now begin with %s, no longer with %s.",
            store,
            store.parent,
            folder,
        )


def former_folders(uri: str, store: Path) -> list[Path]:
    """The folders in which a store once lay, if its paths still lead there; arguments as above."""
    engine = sqlalchemy.create_engine(uri)
    try:
        with engine.connect() as connection:
            return sorted({_folder_of(location) for location in _former_locations(connection, store)})
    finally:
        engine.dispose()


def _former_locations(connection: sqlalchemy.Connection, store: Path) -> list[str]:
    """The experiments' artifact locations that lay beside the store before it was moved or copied."""
    rows = connection.exec_driver_sql("SELECT DISTINCT artifact_location FROM experiments")
    found = [location for (location,) in rows if location and _lies_elsewhere(location, store)]
    return sorted(location for location in found if _is_former(connection, location, store))


def _lies_elsewhere(location: str, store: Path) -> bool:
    """Whether a location is named like that of raynas's artifacts and isn't beside the store."""
    path = _local_path(location)
    if path is None or path.name != ARTIFACTS_FOLDER:
        return False
    # Links, and other mounts of one folder, are no move.
    return not is_same_file(path.parent, store.parent) and not is_same_file(path.parent / store.name, store)


def _is_former(connection: sqlalchemy.Connection, location: str, store: Path) -> bool:
    """Whether artifacts lay beside this very store there, and not in a folder that somebody chose."""
    artifacts = _folder_of(location) / ARTIFACTS_FOLDER
    if os.path.isfile(artifacts.with_name(store.name)):
        # The original of a copy, or a new store where this one was.
        return True
    experiments = "SELECT experiment_id FROM experiments WHERE artifact_location = ?"
    query = f"SELECT run_uuid FROM runs WHERE experiment_id IN ({experiments})"
    runs = {run for (run,) in connection.exec_driver_sql(query, (location,))}
    if not runs.isdisjoint(_names_in(store.parent / ARTIFACTS_FOLDER)):
        return True
    if os.path.isdir(artifacts):
        return False
    query = f"SELECT value FROM tags WHERE key = '{FOLDER_TAG}' AND run_uuid IN ({query})"
    folders = [Path(folder) for (folder,) in connection.exec_driver_sql(query, (location,))]
    return not runs or any(artifacts.parent in folder.parents for folder in folders)


def _replace(connection: sqlalchemy.Connection, location: str, folder: Path) -> None:
    """Replaces a former artifact location, and the folder it lay in, wherever the store has them."""
    old_folder, artifacts = _folder_of(location), folder / ARTIFACTS_FOLDER
    spellings = {location.rstrip("/"): str(artifacts) if location.startswith("/") else artifacts.as_uri()}
    spellings |= {str(old_folder / ARTIFACTS_FOLDER): str(artifacts)}
    spellings |= {(old_folder / ARTIFACTS_FOLDER).as_uri(): artifacts.as_uri()}
    for table, column in ARTIFACT_COLUMNS:
        _replace_beginnings(connection, table, column, spellings.items())
    if old_folder == Path(old_folder.anchor):
        # Every path begins with the root, so the tags tell nothing about the store's folder.
        return
    folders = {str(old_folder): str(folder), old_folder.as_uri(): folder.as_uri()}
    _replace_beginnings(connection, "tags", "value", folders.items(), f"key = '{FOLDER_TAG}' AND ")


def _replace_beginnings(
    connection: sqlalchemy.Connection,
    table: str,
    column: str,
    replacements: Iterable[tuple[str, str]],
    condition: str = "",
) -> None:
    for old, new in replacements:
        # Not LIKE, which ignores case and takes '_' and '%' for more than themselves. The slash keeps
        # /a/runs2 apart from /a/runs.
        connection.exec_driver_sql(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
            f"WHERE {condition}substr({column} || '/', 1, ?) = ?",
            (new, len(old) + 1, len(old) + 1, f"{old}/"),
        )


def _folder_of(location: str) -> Path:
    path = _local_path(location)
    assert path is not None
    return path.parent


def _local_path(location: str) -> Path | None:
    """The absolute path that an artifact location names on this machine; None if it is elsewhere."""
    if location.startswith("/"):
        return Path(location)
    parts = urlsplit(location)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    path = Path(unquote(parts.path))
    return path if path.is_absolute() else None


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
