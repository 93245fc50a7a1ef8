"""Reads Parquet files in the Hugging Face layout (see parquet_columns.py) into memory."""

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
    """All rows of all shards, in order."""

    name: str
    shards: tuple[Shard, ...]
    labels_N: NDArray[np.int64]
    num_classes: int
    class_names: tuple[str, ...] | None

    def decode(self, rows_N: NDArray[np.int64], *, image_size: int | None) -> NDArray[np.uint8]:
        """Decodes the images of these rows, which are all read into memory first; see ImageSource."""
        # Rows are read in file order, so that each row group is read once, and then put back into the order
        # that was asked for.
        order_N = np.argsort(rows_N)
        in_file_order = self._read(rows_N[order_N])
        images = [in_file_order[place] for place in np.argsort(order_N)]
        return decode_images(images, image_size=image_size)

    def _read(self, sorted_rows_N: NDArray[np.int64]) -> list[EncodedImage]:
        """Reads one row group at a time, and only those that hold any of the rows."""
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
    """Parquet files of a folder, at any depth, that hold training data; empty if it has no Parquet files.

    If the name of any file or folder has the word train, only those files are taken, and else all that are
    not named after a test or validation set. Names of folders above `folder` don't count.

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
            "Training data is needed; to use one of these files anyway, set data.source to its path."
        )
    return training


def open_parquet(path: Path, files: list[Path], *, label_column: str) -> ParquetSource:
    """Opens files as one data set: reads all labels, but no image.

    Args:
        path: the user's data source; it names the data set.
        files: the shards, in the order of their rows.
    Raises:
        DataError: a file is corrupt, has wrong columns or labels, or differs from the others in its classes.
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
