"""What a classifier gets right: top-1, top-5, each class by itself, and which classes it takes for which."""

# Shapes: N images, K classes.

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raynas.errors import TrainingFailed

TOP = 5


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationScores:
    """Counts over images, which add up over batches and ranks.

    Args:
        confusion_KK: int64; row k counts the images of class k by the class that was predicted.
        top5_K: int64; images of each class for which it was among the five best.
    """

    confusion_KK: NDArray[np.int64]
    top5_K: NDArray[np.int64]

    @property
    def num_images(self) -> int:
        """Number of images."""
        return int(self.confusion_KK.sum())

    @property
    def top1(self) -> float | None:
        """Fraction of the images whose class has the highest logit; None without images."""
        return _fraction(int(np.trace(self.confusion_KK)), self.num_images)

    @property
    def top5(self) -> float | None:
        """Fraction of the images whose class is among the five highest logits; None without images."""
        return _fraction(int(self.top5_K.sum()), self.num_images)

    @property
    def images_of_classes(self) -> tuple[int, ...]:
        """Number of images of each class."""
        return tuple(self.confusion_KK.sum(axis=1).tolist())

    @property
    def accuracy_of_classes(self) -> tuple[float | None, ...]:
        """Top-1 of each class; None for a class without images."""
        right_K = np.diagonal(self.confusion_KK).tolist()
        return tuple(
            _fraction(right, count) for right, count in zip(right_K, self.images_of_classes, strict=True)
        )

    @property
    def mean_class_accuracy(self) -> float | None:
        """Mean of the accuracies of the classes that have images, each counting the same."""
        known = [accuracy for accuracy in self.accuracy_of_classes if accuracy is not None]
        return sum(known) / len(known) if known else None

    def confusions(self, count: int) -> list[tuple[int, int, int]]:
        """The most frequent errors, as true class, predicted class and number of images."""
        errors_KK = self.confusion_KK.copy()
        np.fill_diagonal(errors_KK, 0)
        order = np.argsort(-errors_KK, axis=None, kind="stable")[:count].tolist()
        num_classes = len(errors_KK)
        pairs = [(place // num_classes, place % num_classes) for place in order]
        return [(true, found, int(errors_KK[true, found])) for true, found in pairs if errors_KK[true, found]]

    @staticmethod
    def none(num_classes: int) -> ClassificationScores:
        """The counts of no images."""
        return ClassificationScores(
            np.zeros((num_classes, num_classes), dtype=np.int64), np.zeros(num_classes, dtype=np.int64)
        )

    @staticmethod
    def of_batch(logits_NK: Tensor, labels_N: Tensor) -> ClassificationScores:
        """The counts of a batch.

        Args:
            logits_NK: on any device; where K is below five, top-5 is top-K.
            labels_N: class indexes in [0, K).
        Raises:
            TrainingFailed: a logit is NaN.
        """
        num_classes = logits_NK.shape[1]
        if bool(logits_NK.isnan().any()):
            raise TrainingFailed(
                f"The network's logits are NaN for {int(logits_NK.isnan().any(dim=1).sum()):,} of "
                f"{len(labels_N):,} images, so its weights are damaged or have diverged. Use those of an "
                "earlier epoch."
            )
        best_NK = logits_NK.topk(min(TOP, num_classes), dim=1).indices
        is_right_NK = best_NK == labels_N[:, None]
        pairs_N = labels_N.long() * num_classes + best_NK[:, 0]
        confusion = torch.bincount(pairs_N, minlength=num_classes**2).reshape(num_classes, num_classes)
        top5_K = torch.bincount(labels_N[is_right_NK.any(dim=1)].long(), minlength=num_classes)
        return ClassificationScores(confusion.cpu().numpy(), top5_K.cpu().numpy())

    @staticmethod
    def joined(parts: Iterable[ClassificationScores], num_classes: int) -> ClassificationScores:
        """The counts of several batches or ranks together."""
        total = ClassificationScores.none(num_classes)
        for part in parts:
            total.confusion_KK[:] += part.confusion_KK
            total.top5_K[:] += part.top5_K
        return total


def _fraction(count: int, total: int) -> float | None:
    return count / total if total else None
