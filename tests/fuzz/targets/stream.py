"""Streamed Parquet shards: footers, then labels and pictures before a training, then pieces and pixels."""

from __future__ import annotations

import random
from pathlib import Path

from raynas.data.stream import EvalTransform, ImageIndex
from raynas.data.stream.decoding import DecodedUnit, Decoder, Unit
from raynas.data.stream.preflight import preflight
from raynas.errors import DataError
from tests.fuzz.seeds import bombs, parquet_bytes
from tests.fuzz.targets.parquet import CODECS, mutated_parquet
from tests.fuzz.trial import Attempt


def start(folder: Path, bomb: Path) -> Attempt:
    seeds = [parquet_bytes(compression=codec) for codec in CODECS]
    seeds += [parquet_bytes(has_names=False), parquet_bytes(is_plain=True)]
    transform = EvalTransform(8, 0.875)
    file, decoder = folder / "shards" / "train-0.parquet", Decoder(transform)
    file.parent.mkdir()
    (folder / "shards" / "train-1.parquet").write_bytes(seeds[0])

    def attempt(rng: random.Random) -> None:
        file.write_bytes(mutated_parquet(rng, rng.choice(seeds), bombs(bomb)))
        may_skip = rng.random() < 0.5
        index = ImageIndex.find(str(file.parent), skip_broken=may_skip)
        index = preflight(index, train=transform, validation=transform, skip_broken=may_skip)
        # The first numbers are those of the mutated file, unless it was skipped.
        for numbers_N in index.train.pieces(None)[:2]:
            unit = decoded(decoder, Unit(index.train.piece(numbers_N), numbers_N, epoch=0))
            assert unit.images_NHWC.shape == (len(numbers_N), 8, 8, 3)
            assert unit.labels_N.min() >= 0 and unit.labels_N.max() < index.num_classes
        assert index.num_classes <= index.train.num_images

    return attempt


def decoded(decoder: Decoder, unit: Unit) -> DecodedUnit:
    """What of a small split was found sound can be decoded: anything else is a finding."""
    try:
        return decoder(unit)
    except DataError as error:
        raise AssertionError(f"found sound before, refused now: {error}") from error
