"""When two scores of one architecture are interchangeable: the fidelity that they were trained at.

It is made of what a child's accuracy depends on beside its cell and chance: the network around the cell (with
what the search space says of it), the child's training, and the very images, pixel by pixel, with their
labels, as they are split into training and validation. Not of it are the seeds of initialisation and batches,
which are chance, and which equal cells of one run share a score over; the search space and the strategy, as
an arch_id is the whole cell; the scheduler, as full trainings alone count; the workers and their machines.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raynas.data import ImageSplit
from raynas.search_config import SearchConfig

LENGTH = 16
"""Hex digits."""


def fidelity_of(config: SearchConfig, split: ImageSplit) -> str:
    """The key of the fidelity; equal exactly if the fidelity is."""
    settings = {
        "network": config.network.model_dump(mode="json"),
        "child": config.child.model_dump(mode="json"),
        "images": _digest(split),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:LENGTH]


def _digest(split: ImageSplit) -> str:
    """Of all images and labels, in order."""
    digest = hashlib.sha256(f"{split.num_classes} classes".encode())
    arrays: tuple[NDArray[Any], ...] = (
        split.train_images_NHWC,
        split.train_labels_N,
        split.validation_images_NHWC,
        split.validation_labels_N,
    )
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
