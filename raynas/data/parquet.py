"""Parquet in the Hugging Face layout: a column img or image of struct<bytes, path>, and a label column."""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raynas.data.decode import EncodedImage, decode_images
from raynas.data.layout import files_below, role_of_path
from raynas.data.parquet_columns import common_class_names
from raynas.data.shard import RowGroup, Shard, open_shard
from raynas.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class ParquetSource:
    """The rows of all shards, one after the other."""

    name: str
    shards: tuple[Shard, ...]
    labels_N: NDArray[np.int64]
    num_classes: int
    class_names: tuple[str, ...] | None

    def decode(self, rows_N: NDArray[np.int64], *, image_size: int | None) -> NDArray[np.uint8]:
        """The images of these rows; see ImageSource. Holds the encoded images of these rows meanwhile."""
        order_N = np.argsort(rows_N)
        in_file_order = self._read(rows_N[order_N])
        images = [in_file_order[place] for place in np.argsort(order_N)]
        return decode_images(images, image_size=image_size)

    def _read(self, sorted_rows_N: NDArray[np.int64]) -> list[EncodedImage]:
        """One row group at a time, and only those that hold any of the rows."""
        images: list[EncodedImage] = []
        first_row = 0
        for group in self._row_groups():
            begin, end = np.searchsorted(sorted_rows_N, [first_row, first_row + group.num_rows])
            if begin < end:
                images += group.read(sorted_rows_N[begin:end] - first_row)
            first_row += group.num_rows
        return images

    def _row_groups(self) -> list[RowGroup]:
        return [group for shard in self.shards for group in shard.row_groups]


def find_shards(folder: Path) -> list[Path]:
    """The Parquet files of a folder, at any depth, that hold training data; none if there are no such files.

    Where a file or folder name has the word train, only such files are taken; else all but those named after
    a test or validation set. Folders above `folder` don't count.

    Raises:
        DataError: there are only test and validation files.
    """
    files = files_below(folder, [".parquet"])
    roles = {file: role_of_path(file.relative_to(folder)) for file in files}
    training = [file for file in files if roles[file] == "train"]
    training = training or [file for file in files if roles[file] is None]
    if files and not training:
        raise DataError(
            f"All Parquet files in {folder} are named as test or validation data: {_listing(files)}. "
            "Training data is needed; to use one of these files all the same, give its path as data.source."
        )
    return training


def open_parquet(path: Path, files: list[Path], *, label_column: str) -> ParquetSource:
    """Reads the labels of all files; no image yet.

    Args:
        path: what the user gave: names the data set.
        files: the shards, in the order of rows.
    Raises:
        DataError: a file is corrupt, has not the columns or labels it should, or differs in its classes.
    """
    shards = tuple(open_shard(file, label_column=label_column) for file in files)
    class_names = common_class_names((shard.file, shard.class_names) for shard in shards)
    labels_N = np.concatenate([shard.labels_N for shard in shards])
    if not len(labels_N):
        raise DataError(f"The Parquet files have no rows: {_listing(files)}. Give files with images.")
    return ParquetSource(
        name=f"{path.resolve().parent.name}/{path.stem}" if path.is_file() else path.resolve().name,
        shards=shards,
        labels_N=labels_N,
        num_classes=len(class_names) if class_names else int(labels_N.max()) + 1,
        class_names=class_names,
    )


def _listing(files: list[Path]) -> str:
    names = [str(file) for file in files[:3]]
    return ", ".join(names) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
