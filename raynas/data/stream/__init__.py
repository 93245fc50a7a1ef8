"""Image data sets larger than memory: Parquet shards or class folders, decoded while training runs.

An index finds the images, an epoch plan puts them in order, decoders in other processes turn them into
pixels, and batches come out. Data sets that fit in memory are loaded by raynas.data.
"""

from __future__ import annotations

from raynas.data.stream.batches import ImageBatches, PixelBatch
from raynas.data.stream.growing import GrowingBatches, Growth
from raynas.data.stream.index import ImageCounts, ImageIndex
from raynas.data.stream.local import local_batches
from raynas.data.stream.order import Shuffle
from raynas.data.stream.randaugment import RandAugment
from raynas.data.stream.transforms import EvalTransform, TrainTransform

__all__ = [
    "EvalTransform",
    "GrowingBatches",
    "Growth",
    "ImageBatches",
    "ImageCounts",
    "ImageIndex",
    "PixelBatch",
    "RandAugment",
    "Shuffle",
    "TrainTransform",
    "local_batches",
]
