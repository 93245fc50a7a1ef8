"""Reads Parquet files in the Hugging Face layout (see parquet_columns.py) into memory."""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raynas.data.decode import DecodedImages, EncodedImage, decode_images
from raynas.data.found import Found
from raynas.data.layout import LeftOut, ShardLayout, Split, list_folder, read_shards
from raynas.data.parquet_columns import LOOKED_AT, Columns, LabelCounts, common_class_names, found_in_shards
from raynas.data.shard import RowGroup, Shard, count_classes, open_shard
from raynas.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class ParquetSource:
    """All rows of all shards, in order."""

    name: str
    shards: tuple[Shard, ...]
    labels_N: NDArray[np.int64]
    num_classes: int
    class_names: tuple[str, ...] | None
    found: Found

    def decode(
        self, rows_N: NDArray[np.int64], *, image_size: int | None, max_image_size: int
    ) -> DecodedImages:
        """Decodes the images of these rows, which are all read into memory first; see ImageSource."""
        return decode_images(self.encoded_rows(rows_N), image_size=image_size, max_image_size=max_image_size)

    def encoded_rows(self, rows_N: NDArray[np.int64]) -> list[EncodedImage]:
        """See FileSource."""
        # Rows are read in file order, so that each row group is read once, and then put back into the order
        # that was asked for.
        order_N = np.argsort(rows_N)
        in_file_order = self._read(rows_N[order_N])
        return [in_file_order[place] for place in np.argsort(order_N)]

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

    def encoded(self, row: int) -> EncodedImage:
        """The image of one row, for which its whole row group is read; DataError if it can't be."""
        return self._read(np.array([row]))[0]

    def _row_groups(self) -> list[RowGroup]:
        return [group for shard in self.shards for group in shard.row_groups]


def find_shards(folder: Path) -> list[Path]:
    """Parquet files of a folder, at any depth, that are for training; empty if it has no Parquet files.

    If the name of any file or folder has the word train, only those files are taken, and else all that are
    not named after a test or validation set. Names of folders above `folder` don't count.

    Raises:
        DataError: there are only test and validation files.
    """
    return [folder / file for file in list_shards(folder).splits.get("train", [])]


def list_shards(folder: Path) -> ShardLayout:
    """The Parquet files of a folder by split; see `find_shards`."""
    return read_shards(list_folder(folder, [".parquet"]).files, str(folder))


def open_parquet(path: Path, layout: ShardLayout | None, columns: Columns) -> ParquetSource:
    """Opens the files for training as one data set: reads all labels, and looks at a few images.

    Args:
        path: the user's data source; it names the data set.
        layout: the files of a folder; None if `path` is itself a file.
    Raises:
        DataError: a file is corrupt, has wrong columns or labels, or differs from the others in its classes.
    """
    train = [path / file for file in layout.splits["train"]] if layout else [path]
    shards = tuple(open_shard(file, columns) for file in train)
    class_names = common_class_names((shard.file, shard.class_names) for shard in shards)
    labels_N = np.concatenate([shard.labels_N for shard in shards])
    if not len(labels_N):
        raise DataError(f"{train[0]} and the Parquet files beside it have no rows. Give files with images.")
    labels, counts = np.unique(labels_N, return_counts=True)
    counted = LabelCounts(
        len(labels_N), dict(zip(labels.tolist(), counts.tolist(), strict=True)), class_names
    )
    source = ParquetSource(
        name=f"{path.resolve().parent.name}/{path.stem}" if path.is_file() else path.resolve().name,
        shards=shards,
        labels_N=labels_N,
        num_classes=counted.num_classes,
        class_names=class_names,
        found=_found(path, layout, counted, shards, columns),
    )
    return replace(source, found=source.found.with_sizes(source.encoded, LOOKED_AT))


def _found(
    path: Path, layout: ShardLayout | None, train: LabelCounts, shards: Sequence[Shard], columns: Columns
) -> Found:
    splits: dict[Split, LabelCounts] = {"train": train}
    left_out = list(layout.left_out) if layout else []
    held_out = layout.splits.get("validation", []) if layout else []
    try:
        if held_out:
            counted = (count_classes(path / file, columns) for file in held_out)
            splits["validation"] = LabelCounts.together(counted)
    except DataError as error:
        # A search holds out training images, so it doesn't need them.
        left_out.append(LeftOut(len(held_out), "Parquet file", f"for validation: {error}", held_out[0]))
    return found_in_shards(
        splits,
        image_column=next(group.image_column for shard in shards for group in shard.row_groups),
        label_column=columns.label,
        places=layout.places if layout else {},
        left_out=tuple(left_out),
    )
