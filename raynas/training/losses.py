"""Loss and accuracy of a classifier, the same for children and for final training."""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raynas.training.device import Placement


def classification_loss(
    output: Tensor | tuple[Tensor, Tensor],
    labels_N: Tensor,
    *,
    auxiliary_weight: float,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Mean cross-entropy in float32, plus that of the auxiliary head with its weight.

    Args:
        output: logits_NK, or the pair of logits_NK and the auxiliary head's logits_NK.
    """
    logits_NK, auxiliary_NK = (output, None) if isinstance(output, Tensor) else output
    # float32, because logarithms of small probabilities lose too much in bfloat16.
    loss = F.cross_entropy(logits_NK.float(), labels_N, label_smoothing=label_smoothing)
    if auxiliary_NK is None:
        return loss
    auxiliary_loss = F.cross_entropy(auxiliary_NK.float(), labels_N, label_smoothing=label_smoothing)
    return loss + auxiliary_weight * auxiliary_loss


@torch.no_grad()
def validation_counts(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    count: Callable[[Tensor, Tensor], Tensor],
    *,
    placement: Placement,
    autocast: torch.dtype | None,
) -> list[float]:
    """Three counts over the validation images of all ranks; leaves the network in evaluation mode.

    Args:
        batches: this rank's share of the images, as (images_NCHW, labels_N).
        count: called with (logits_NK, labels_N) of each batch; returns its three counts.
        autocast: type to compute in; None means float32.
    """
    network.eval()
    # Batch norm's running statistics differ between ranks. All must evaluate the same network.
    placement.share(network.buffers())
    # In float64, which counts exactly up to 2^53; float32 would only up to 2^24.
    counts_3 = torch.zeros(3, dtype=torch.float64, device=placement.device)
    for images_NCHW, labels_N in batches:
        with torch.autocast(images_NCHW.device.type, autocast, enabled=autocast is not None):
            logits_NK = network(images_NCHW)
        counts_3 += count(logits_NK, labels_N)
    counts: list[float] = placement.total(counts_3).tolist()
    return counts
