"""Measures a classifier: which class it gives each image, and which errors it is surest of."""

# Shapes: N images of a batch, C channels, H x W pixels, K classes.

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raynas.models.folder import LoadedModel, ModelInfo
from raynas.programs.evaluate.classes import class_order
from raynas.programs.evaluate.images import EvaluatedImages, Pixels
from raynas.training.classification_scores import ClassificationScores
from raynas.training.config import Precision
from raynas.training.device import autocast_type

BATCH_SIZE = 64
"""Images per forward pass unless another number is given."""


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """An image whose class the network took for another.

    Args:
        probability: that the network gave the wrong class.
        place: of the image among all, in the order of the data.
    """

    probability: float
    place: int
    true: int = field(compare=False)
    predicted: int = field(compare=False)
    pixels_HWC: NDArray[np.uint8] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Classified:
    """What a classifier made of a data set.

    Args:
        classes: their names in the order of the network, or their numbers where it has no names.
        mistakes: the surest first.
    """

    scores: ClassificationScores
    classes: tuple[str, ...]
    mistakes: tuple[Mistake, ...]


def classify(
    model: LoadedModel,
    images: EvaluatedImages,
    *,
    data: str,
    device: str,
    batch_size: int = BATCH_SIZE,
    num_mistakes: int = 0,
    precision: Precision = "auto",
) -> Classified:
    """Runs a classifier over all images.

    Args:
        data: what messages call the data.
        num_mistakes: number of images with errors that are kept.
        precision: number format of the forward passes; that of the training gives its numbers.
    Raises:
        DataError: the data has other classes, or an image can't be read.
        TrainingFailed: the logits are not finite.
    """
    info = model.info
    order = class_order(info.classes, info.num_classes, images.class_names, images.num_classes, data=data)
    order_K = torch.tensor(order, device=device)
    total = ClassificationScores.none(info.num_classes)
    kept: list[Mistake] = []
    place = 0
    for pixels_NCHW, logits_NK, labels_N in _outputs(model, images.batches(batch_size), device, precision):
        labels_N = order_K[labels_N.to(device)]
        total = ClassificationScores.joined(
            [total, ClassificationScores.of_batch(logits_NK, labels_N)], info.num_classes
        )
        if num_mistakes:
            found = _mistakes(pixels_NCHW, logits_NK, labels_N, first=place)
            kept = heapq.nlargest(num_mistakes, itertools.chain(kept, found))
        place += len(labels_N)
    return Classified(total, _names(info), tuple(kept))


@torch.no_grad()
def _outputs(
    model: LoadedModel, batches: Iterator[Pixels], device: str, precision: Precision
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(pixels_NCHW as they came, logits_NK, labels_N as they came) of each batch."""
    # channels_last as in training, where sums in another order would give other bits.
    network = model.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.eval()
    autocast = autocast_type(precision, device)
    std_C11 = torch.tensor(model.info.std, device=device)[:, None, None]
    mean_C11 = torch.tensor(model.info.mean, device=device)[:, None, None]
    for pixels_NCHW, labels_N in batches:
        # (pixel / 255 - mean) / std as one multiplication and one subtraction, as trainings compute it.
        images_NCHW = pixels_NCHW.to(device).float() * (1.0 / (255.0 * std_C11)) - mean_C11 / std_C11
        with torch.autocast(torch.device(device).type, autocast, enabled=autocast is not None):
            logits_NK = network(images_NCHW)
        yield pixels_NCHW, logits_NK.float(), labels_N


def _mistakes(pixels_NCHW: Tensor, logits_NK: Tensor, labels_N: Tensor, *, first: int) -> Iterator[Mistake]:
    probabilities_N, predicted_N = logits_NK.softmax(dim=1).max(dim=1)
    for index in (predicted_N != labels_N).nonzero()[:, 0].tolist():
        yield Mistake(
            float(probabilities_N[index]),
            first + index,
            int(labels_N[index]),
            int(predicted_N[index]),
            pixels_NCHW[index].permute(1, 2, 0).numpy(),
        )


def _names(info: ModelInfo) -> tuple[str, ...]:
    names: Sequence[str] = info.classes or [str(number) for number in range(info.num_classes)]
    return tuple(names)
