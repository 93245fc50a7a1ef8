"""Streamed Parquet shards: footers, then pieces of row groups, then pixels."""

from __future__ import annotations

import random
from pathlib import Path

from raynas.data.stream import EvalTransform, ImageIndex
from raynas.data.stream.decoding import Decoder, Unit
from tests.fuzz.seeds import bombs, parquet_bytes
from tests.fuzz.targets.parquet import CODECS, mutated_parquet
from tests.fuzz.trial import Attempt


def start(folder: Path, bomb: Path) -> Attempt:
    seeds = [parquet_bytes(compression=codec) for codec in CODECS]
    seeds += [parquet_bytes(has_names=False), parquet_bytes(is_plain=True)]
    file, decoder = folder / "shards" / "train-0.parquet", Decoder(EvalTransform(8, 0.875))
    file.parent.mkdir()
    (folder / "shards" / "train-1.parquet").write_bytes(seeds[0])

    def attempt(rng: random.Random) -> None:
        file.write_bytes(mutated_parquet(rng, rng.choice(seeds), bombs(bomb)))
        index = ImageIndex.find(str(file.parent), skip_broken=rng.random() < 0.5)
        # The first numbers are those of the mutated file, unless it was skipped.
        for numbers_N in index.train.pieces(None)[:2]:
            unit = decoder(Unit(index.train.piece(numbers_N), numbers_N, epoch=0))
            assert unit.images_NHWC.shape == (len(numbers_N), 8, 8, 3)
            assert unit.labels_N.min() >= 0 and unit.labels_N.max() < index.num_classes
        assert index.num_classes <= index.train.num_images

    return attempt
