"""Finds out before a training starts whether its network can be trained on one image at a time."""

from __future__ import annotations

import torch

from raynas.nn import NetworkSpec


def can_train_on_one(spec: NetworkSpec) -> bool:
    """Whether batch norm has several values of each channel even in a step of one image.

    It has not where a map is a single pixel, as after the last convolution of an auxiliary head.
    """
    # On the meta device a forward pass computes shapes alone, in no time and no memory.
    with torch.device("meta"):
        network = spec.build().train()
        image_NCHW = torch.empty(1, spec.in_channels, spec.image_size, spec.image_size)
        try:
            network(image_NCHW)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            return False
    return True
