"""The location of a data set, a local path or a URI: checks that it can be read, and lists its files."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow import fs

from raynas.data.layout import Listing, list_folder
from raynas.errors import DataError, did_you_mean

_ALLOWED = (
    "Allowed: a folder of Parquet shards, one Parquet file, or a folder with one sub folder of images per "
    "class; a local path, or s3://BUCKET/PATH or gs://BUCKET/PATH"
)
_SCHEMES = ("s3", "gs", "gcs", "hdfs", "abfs", "abfss")
"""URI schemes that pyarrow opens itself."""

_ADVICE = {
    "s3": "Check the bucket's name and the network, and give credentials: AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, a profile in ~/.aws, or s3://anonymous@BUCKET/PATH for a public bucket",
    "gs": "Check the bucket's name and the network, and give credentials: GOOGLE_APPLICATION_CREDENTIALS, or "
    "gs://anonymous@BUCKET/PATH for a public bucket",
}
LOCAL = ""
"""Stands in place of a URI for the file system of this machine."""

_RETRY_SECONDS = 15
_PASSWORD = re.compile(r"(?<=://)[^/@]*:[^/@]*@")


@functools.lru_cache(maxsize=16)
def filesystem_of(uri: str) -> fs.FileSystem:
    """The file system of a URI, one object per process and URI, so that connections are reused."""
    return fs.FileSystem.from_uri(uri)[0] if uri else fs.LocalFileSystem()


@dataclass(frozen=True, slots=True)
class Location:
    """A file or folder that exists.

    Args:
        source: what the user wrote, without a password, for messages.
        uri: URI for filesystem_of, or LOCAL.
        path: path within the file system.
    """

    source: str
    uri: str
    path: str
    is_folder: bool

    @property
    def name(self) -> str:
        """Name of the folder; of a file, with the folder that it lies in and without its ending."""
        path = Path(self.path).resolve() if self.uri == LOCAL else PurePosixPath(self.path)
        return path.name if self.is_folder else f"{path.parent.name}/{PurePosixPath(self.path).stem}"

    def listing(self, endings: tuple[str, ...]) -> Listing:
        """What lies below this folder at any depth, with the files that have one of the endings.

        Raises:
            DataError: a folder can't be read, or a link leads nowhere.
        """
        if self.uri == LOCAL:
            return list_folder(Path(self.path), endings)
        with _explained(self.source):
            found = filesystem_of(self.uri).get_file_info(fs.FileSelector(self.path, recursive=True))
        names = [(info, str(self.relative(info.path))) for info in found]
        return Listing.of(
            (name for info, name in names if info.is_file and name.lower().endswith(endings)),
            (name for info, name in names if info.type == fs.FileType.Directory),
        )

    def files(self, endings: tuple[str, ...]) -> list[str]:
        """Paths of the files of `listing`."""
        return [self.path_of(file) for file in self.listing(endings).files]

    def path_of(self, relative: str) -> str:
        """A path within the file system, from one relative to this folder."""
        return f"{self.path}/{relative}"

    def relative(self, path: str) -> PurePosixPath:
        """`path` relative to this location."""
        return PurePosixPath(path).relative_to(self.path)


def locate(source: str, *, name: str = "", allowed: str = _ALLOWED) -> Location:
    """Finds the file or folder at a local path or URI.

    Args:
        name: of the setting that it is from, for messages; empty for the data source.
        allowed: what messages say is allowed.
    Raises:
        DataError: it doesn't exist or can't be reached: no credentials, no such bucket, no network.
    """
    scheme, colon, path = source.partition("://")
    if not colon or scheme == "file":
        return _local(path or source, name, allowed)
    if scheme not in _SCHEMES:
        raise DataError(f"{name}{source!r} has the unknown scheme {scheme!r}. {allowed}.")
    return _remote(source, name, allowed)


def _local(source: str, name: str, allowed: str) -> Location:
    path = Path(os.path.expanduser(source)).absolute()
    # Not Path.exists, which raises on a name that is too long.
    if not os.path.exists(path):
        siblings = os.listdir(path.parent) if os.path.isdir(path.parent) else []
        raise DataError(
            f"{name}{source!r} is not a path that can be read.{did_you_mean(path.name, siblings)} {allowed}. "
            "A relative path starts at the working directory."
        )
    return Location(source, LOCAL, path.as_posix(), path.is_dir())


def _remote(source: str, name: str, allowed: str) -> Location:
    shown = _PASSWORD.sub("", source)
    with _explained(shown):
        source = _with_retry_limit(source)
        path = fs.FileSystem.from_uri(source)[1].rstrip("/")
        kind = filesystem_of(source).get_file_info(path).type
    if kind == fs.FileType.NotFound:
        raise DataError(f"There is nothing at {name}{shown!r}. {allowed}. Correct the bucket or the path.")
    return Location(shown, source, path, kind == fs.FileType.Directory)


def _with_retry_limit(source: str) -> str:
    # Without a limit, Google's client retries for 15 minutes before it reports that there is no network.
    if not source.startswith(("gs://", "gcs://")) or "retry_limit_seconds" in source:
        return source
    return f"{source}{'&' if '?' in source else '?'}retry_limit_seconds={_RETRY_SECONDS}"


def reason_of(error: Exception) -> str:
    """The message of an error of pyarrow, in one line, without passwords and without the final full stop."""
    return " ".join(_PASSWORD.sub("", str(error)).split()).rstrip(" .")


@contextmanager
def _explained(shown: str) -> Iterator[None]:
    """Turns errors of pyarrow into DataErrors with advice for the kind of store."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        advice = _ADVICE.get(shown.partition("://")[0], _ALLOWED)
        raise DataError(f"{shown!r} can't be read: {reason_of(error)}. {advice}.") from error
