"""ScheduledDropPath: paths of a cell are dropped with a probability that grows over training and depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Zeroes the path for a whole example with probability `probability` * `progress`; rescales the others.

    Args:
        probability: probability at the end of training. By depth, it is drop_path * (cell_index + 1) /
            num_cells.
    Source: slim nasnet_utils.py, _apply_drop_path (v3); the paper only gives the linear growth over time.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.progress = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> a map of equal shape; in evaluation mode it is `x` itself."""
        dropped = self.probability * self.progress
        if not self.training or dropped == 0.0:
            return x
        # One draw for each image: the path is dropped for a whole example, and not for the whole batch.
        keep_N111 = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= dropped
        return x * (keep_N111.to(x.dtype) / (1.0 - dropped))

    def extra_repr(self) -> str:
        return f"probability={self.probability:.3f}"


def set_drop_path_progress(network: nn.Module, progress: float) -> None:
    """Sets the fraction of training that is done, in [0, 1], in every DropPath of `network`."""
    for module in network.modules():
        if isinstance(module, DropPath):
            module.progress = progress
