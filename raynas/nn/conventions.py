"""Where the reference codes of the NASNet family do the same thing differently. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raynas.config import FrozenModel


class Conventions(FrozenModel):
    """How cells of one family are executed; the defaults are those of NASNet's own code for CIFAR-10."""

    match_previous: Literal["if_needed", "always"] = "if_needed"
    """Whether the previous state passes ReLU, 1x1, norm also where it fits already; 'always' is DARTS's way.
    """
    strided_identity: Literal["conv", "relu_factorized", "factorized"] = "conv"
    """An identity that halves the image: ReLU, strided 1x1, norm (NASNet, PNASNet, AmoebaNet); a factorised
    reduction after a ReLU (DARTS), or without one (ENAS).
    """
    padding: Literal["symmetric", "same", "timm"] = "symmetric"
    """'same': TensorFlow's, which at stride 2 pads an even image at the right and bottom only. 'timm' is
    'same', but for an average pool of stride 2 counting the padding, as timm's weights were measured with.
    """
    norm_epsilon: float = Field(1e-5, gt=0)
    """Batch norm's epsilon; slim nasnet.py, cifar_config. 1e-3 for ImageNet."""
    norm_momentum: float = Field(0.1, gt=0, le=1)
    """Batch norm's momentum in PyTorch's sense, 1 - slim's decay of 0.9. 3e-4 for ImageNet."""
