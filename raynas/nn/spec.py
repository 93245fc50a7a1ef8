"""A network as one value: cells, how they are stacked, and the images and classes it is for. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raynas.cells.genotype import Genotype
from raynas.nn.complexity import Complexity, complexity
from raynas.nn.config import NetworkConfig

# network.py imports torch, which takes seconds and isn't needed to compare or to count networks.
if TYPE_CHECKING:
    from raynas.nn.network import Network


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Everything that determines a network except its weights."""

    genotype: Genotype
    config: NetworkConfig
    in_channels: int
    """Channels of an image: 1 for grey, 3 for colour."""
    num_classes: int
    """0 for a network that returns pooled features instead of logits."""
    image_size: int
    """Pixels per side."""

    def build(self) -> Network:
        """The network, with initial weights drawn from torch's global random generator.

        Raises:
            InvalidConfig: the images are too small for so many reductions, or the stem needs more filters.
        """
        # Only here: sizes can be computed without loading torch.
        from raynas.nn.network import Network

        return Network(
            self.genotype,
            self.config,
            in_channels=self.in_channels,
            num_classes=self.num_classes,
            image_size=self.image_size,
        )

    def complexity(self) -> Complexity:
        """The network's size without its auxiliary head; raises what `build` raises."""
        return complexity(
            self.genotype,
            self.config,
            in_channels=self.in_channels,
            num_classes=self.num_classes,
            image_size=self.image_size,
        )
