"""Image data sets larger than memory: Parquet shards or an ImageFolder tree, decoded as training goes on.

An index finds the images, a plan orders an epoch, decoders work in other processes, batches come out. Data
sets that fit in memory are raynas.data's.
"""

from __future__ import annotations

from raynas.stream.batches import Batch, BatchSource
from raynas.stream.growing import GrowingBatches, Growth
from raynas.stream.index import ImageIndex
from raynas.stream.local import local_batches
from raynas.stream.order import Shuffle
from raynas.stream.randaugment import RandAugment
from raynas.stream.transforms import EvalTransform, TrainTransform

__all__ = [
    "Batch",
    "BatchSource",
    "EvalTransform",
    "GrowingBatches",
    "Growth",
    "ImageIndex",
    "RandAugment",
    "Shuffle",
    "TrainTransform",
    "local_batches",
]
