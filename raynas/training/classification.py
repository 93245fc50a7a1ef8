"""Classification as the task of a final training: cross-entropy, and top-1 and top-5 accuracy.

Source: Zoph et al. 2018, A.7: label smoothing 0.1, auxiliary loss 0.4.
"""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from raynas.training.batches import Batches, TrainingBatch
from raynas.training.device import Placement
from raynas.training.final import FinalTraining
from raynas.training.final_config import ClassifierSummary, FinalConfig
from raynas.training.first_images import FirstImages
from raynas.training.losses import classification_loss, validation_counts


class Classification:
    """The task of a classifier with or without an auxiliary head."""

    summary = ClassifierSummary

    def __init__(self, config: FinalConfig) -> None:
        self._auxiliary_weight = config.auxiliary_weight
        self._label_smoothing = config.label_smoothing
        self._first_images = FirstImages()

    def look(self, batch: TrainingBatch) -> None:
        """Looks at the first images, as FirstImages does."""
        self._first_images.look(batch.images_NCHW, batch.labels_N)

    def loss(self, model: nn.Module, batch: TrainingBatch, autocast: torch.dtype | None) -> Tensor:
        """Mean cross-entropy with label smoothing, plus the auxiliary head's."""
        with torch.autocast(batch.images_NCHW.device.type, autocast, enabled=autocast is not None):
            output = model(batch.images_NCHW)
        return classification_loss(
            output,
            batch.labels_N,
            auxiliary_weight=self._auxiliary_weight,
            label_smoothing=self._label_smoothing,
        )

    def scores(
        self,
        network: nn.Module,
        batches: Iterator[TrainingBatch],
        placement: Placement,
        autocast: torch.dtype | None,
    ) -> dict[str, Any]:
        """Top-1 and top-5 accuracy as fractions; 0 if there are no images."""
        top1, top5, total = validation_counts(
            network,
            ((batch.images_NCHW, batch.labels_N) for batch in batches),
            _counts,
            placement=placement,
            autocast=autocast,
        )
        return {"top1": top1 / max(total, 1), "top5": top5 / max(total, 1)}


def classifier_training(
    network: nn.Module,
    batches: Batches[TrainingBatch],
    config: FinalConfig,
    placement: Placement,
    *,
    seed: int = 0,
) -> FinalTraining[TrainingBatch]:
    """The final training of a classifier; arguments and errors are FinalTraining's."""
    return FinalTraining(network, batches, Classification(config), config, placement, seed=seed)


def _counts(logits_NK: Tensor, labels_N: Tensor) -> Tensor:
    """Images whose class is the best guess, images whose class is among the best five, and images."""
    # With fewer than five classes every class is among the best five, and top-5 is 1.
    best_NK = logits_NK.topk(min(5, logits_NK.shape[1]), dim=1).indices
    is_right_NK = best_NK == labels_N[:, None]
    num_top1 = is_right_NK[:, 0].sum()
    return torch.stack([num_top1, is_right_NK.sum(), torch.full_like(num_top1, len(labels_N))])
