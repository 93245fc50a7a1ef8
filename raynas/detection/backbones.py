"""What a network does in a detector: the maps of a picture, and the cells that look at a proposal."""

# Shapes: N images, K proposals, C channels, H x W pixels, F features.

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from raynas.nn import Network
from raynas.nn.split import FirstCells, LastCells


class PyramidBackbone(nn.Module):
    """A network's feature maps and the pyramid on them, as torchvision's FasterRCNN takes them.

    Args:
        network: without classifier and auxiliary head.
        strides: those of the maps.
        fpn: maps by name to maps by name.
        out_channels: channels of the pyramid's maps.
    """

    def __init__(
        self, network: Network, strides: tuple[int, ...], fpn: nn.Module, *, out_channels: int
    ) -> None:
        super().__init__()
        self.body = network
        self.fpn = fpn
        self.out_channels = out_channels
        self.strides = strides

    def forward(self, images_NCHW: Tensor) -> dict[str, Tensor]:
        """The pyramid's maps, '0', '1', ... and 'pool', the largest first, in float32."""
        maps = self.body.forward_feature_maps(images_NCHW, self.strides)
        named = OrderedDict((str(level), map_NCHW) for level, map_NCHW in enumerate(maps))
        # Anchors and proposals get the maps' type, and bfloat16 tells pixels apart only up to 256.
        return {name: map_NCHW.float() for name, map_NCHW in self.fpn(named).items()}


class CellsBackbone(nn.Module):
    """A network up to its last reduction, as one map: the outputs that the rest takes, concatenated."""

    def __init__(self, cells: FirstCells) -> None:
        super().__init__()
        self.body = cells
        self.out_channels = sum(state.channels for state in cells.states)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """One map (N, C, H, W) in float32."""
        return torch.cat(self.body(images_NCHW), dim=1).float()


class CellsHead(nn.Module):
    """The rest of a network, from its last reduction on, for each proposal: crop to pooled features.

    Source: tensorflow/models object_detection models/faster_rcnn_nas_feature_extractor.py.
    """

    def __init__(self, cells: LastCells) -> None:
        super().__init__()
        self.body = cells
        self.num_features = cells.num_features

    def forward(self, crops_KCHW: Tensor) -> Tensor:
        """Features (K, F) of crops of the map that `CellsBackbone` gives."""
        states = torch.split(crops_KCHW, [state.channels for state in self.body.states], dim=1)
        return self.body(states).mean(dim=(2, 3))  # type: ignore[no-any-return]
