"""What a built network costs, by means that know nothing of raynas."""

from __future__ import annotations

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from raynas.cells.genotype import Genotype
from raynas.nn import Complexity, NetworkConfig
from tests.nn.small_networks import meta_images, meta_network, num_parameters, outputs_of


def built_complexity(
    genotype: Genotype, config: NetworkConfig, *, in_channels: int, num_classes: int, image_size: int
) -> Complexity:
    """Parameters of the module, torch's count of its operations, and what its convolutions give out."""
    image = {"in_channels": in_channels, "num_classes": num_classes, "image_size": image_size}
    network = meta_network(genotype, config, **image).eval()
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    with FlopCounterMode(display=False) as counter:
        images_NCHW = meta_images(image_size, in_channels=in_channels, num_images=1)
        shapes = outputs_of(convolutions, network, images_NCHW)
    activations = sum(channels * height * width for channels, height, width in shapes)
    assert counter.get_total_flops() % 2 == 0
    return Complexity(num_parameters(network), counter.get_total_flops() // 2, activations)
