"""The auxiliary classifier, which only training uses."""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from raynas.nn.config import Conventions
from raynas.nn.modules import batch_norm

NUM_FEATURES = 768
"""Inputs of the auxiliary head's last layer."""


class AuxiliaryHead(nn.Module):
    """ReLU, 5x5 average pool, 1x1 to 128, convolution over the whole remaining map to 768, classifier.

    Args:
        in_channels: channels of the feature map.
        size: pixels per side of the feature map. On maps below 5x5 the pool covers the whole map. Maps of
            another size, from images of another size, are averaged down to what the convolution covers.
        kind: 'nasnet' and 'darts' pool with stride 3; 'darts_imagenet' pools with stride 2 and has no second
            norm.
    Source: slim nasnet.py, _build_aux_head; quark0/darts cnn/model.py, AuxiliaryHead*.
    """

    def __init__(
        self, in_channels: int, num_classes: int, size: int, conventions: Conventions, kind: str = "nasnet"
    ) -> None:
        super().__init__()
        stride = 2 if kind == "darts_imagenet" else 3
        kernel = min(5, size)
        # Side of the pooled map, without padding. The second convolution covers it whole, so that one pixel
        # is left.
        remaining = (size - kernel) // stride + 1
        self.size = size
        self.remaining = remaining
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(kernel, stride),
            nn.Conv2d(in_channels, 128, 1, bias=False),
            batch_norm(128, conventions),
            nn.ReLU(),
            nn.Conv2d(128, NUM_FEATURES, remaining, bias=False),
            nn.Identity() if kind == "darts_imagenet" else batch_norm(NUM_FEATURES, conventions),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier: nn.Module = nn.Linear(NUM_FEATURES, num_classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """A feature map (N, in_channels, H, W) -> logits (N, K)."""
        if x_NCHW.shape[2:] == (self.size, self.size):
            return self.classifier(self.features(x_NCHW))  # type: ignore[no-any-return]
        # In place of the first two layers, ReLU and pool, whose output would have another size than the
        # convolution's kernel.
        pooled_NCHW = F.adaptive_avg_pool2d(F.relu(x_NCHW), self.remaining)
        return self.classifier(self.features[2:](pooled_NCHW))  # type: ignore[no-any-return]
