"""Parquet files that are read into memory: footer, schema, labels, images."""

from __future__ import annotations

import random
from pathlib import Path

from raynas.data import DataConfig, ImageSplit, load_split
from tests.fuzz.mutate import mutated_bytes
from tests.fuzz.seeds import bombs, parquet_bytes
from tests.fuzz.trial import Attempt

CODECS = ("snappy", "gzip", "zstd", "none")


def start(folder: Path, bomb: Path) -> Attempt:
    seeds = [parquet_bytes(compression=codec) for codec in CODECS] + [parquet_bytes(has_names=False)]
    file = folder / "train.parquet"

    def attempt(rng: random.Random) -> None:
        file.write_bytes(mutated_parquet(rng, rng.choice(seeds), bombs(bomb)))
        check(load_split(DataConfig(source=str(file), validation_images=2), seed=0))

    return attempt


def mutated_parquet(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Mutates the footer, the pages or any bytes. Magic numbers are mostly kept, so that files are read."""
    length = int.from_bytes(data[-8:-4], "little")
    if rng.random() < 0.6:
        pages, footer = data[: -8 - length], data[-8 - length : -8]
        changed = mutated_bytes(rng, footer, others)
        size = len(changed) if rng.random() < 0.9 else rng.randrange(2**32)
        return pages + changed + size.to_bytes(4, "little") + data[-4:]
    if rng.random() < 0.7:
        return mutated_bytes(rng, data[: -8 - length], others) + data[-8 - length :]
    return mutated_bytes(rng, data, others)


def check(split: ImageSplit) -> None:
    """Checks what training relies on."""
    assert split.train_images_NHWC.dtype == "uint8" and split.train_images_NHWC.ndim == 4
    for labels_N in (split.train_labels_N, split.validation_labels_N):
        assert labels_N.min() >= 0 and labels_N.max() < split.num_classes
    assert split.num_classes <= len(split.train_labels_N)
    assert all(deviation > 0 for deviation in split.std_C)
