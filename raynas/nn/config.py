"""How cells are stacked to a network, as a value. No torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from raynas.config import FrozenModel

NumCells = Annotated[int, Field(ge=1, le=200)]
MAX_FILTERS = 65_536
NumFilters = Annotated[int, Field(ge=1, le=MAX_FILTERS)]
"""Bounds keep what a file says from filling the memory; published networks have 20 and 4,032."""


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


class NetworkConfig(FrozenModel):
    """The macro-architecture; the defaults are the published CIFAR-10 network's."""

    cells_per_stack: NumCells | tuple[NumCells, ...] = 6
    """N: Normal cells between two reductions; 6 in the published CIFAR-10 network, 2 while searching. A list
    has one number for each stack: PNASNet-5 has [4, 3, 3].
    """
    filters: int = Field(32, ge=2, le=MAX_FILTERS)
    """F: filters of every state in the first stack; doubled at each reduction."""
    num_reductions: int = Field(2, ge=0, le=5)
    """Reduction cells after the stem; there is one more stack of Normal cells than that."""
    stem: Literal["small_image", "imagenet", "darts_imagenet"] = "small_image"
    """'small_image': a 3x3 convolution. 'imagenet': a 3x3 of stride 2 without padding, then Reduction cells
    of F/4 and F/2 filters; an eighth of the image's sides in all. 'darts_imagenet': three 3x3 of stride 2.
    """
    stem_filters: NumFilters | None = None
    """Of the stem's first convolution; None: 3 F for small images (F where cells are chained), 32 for
    ImageNet, in DARTS F / 2.
    """
    skip_reduction_input: bool = False
    """What the first cell after a reduction takes as the previous state: false, the output just before the
    reduction; true, the one before that (slim's skip_reduction_layer_input, in the large networks).
    """
    head: Literal["relu", "norm_relu", "plain"] = "relu"
    """What stands between the last cell and the pooling; 'plain' is DARTS's, 'norm_relu' NAS-Bench-201's."""
    auxiliary_head: bool = False
    """A second classifier at two thirds of the depth, used in training only."""
    auxiliary_kind: Literal["nasnet", "darts", "darts_imagenet"] = "nasnet"
    """NASNet's stands before the last reduction; DARTS's after it, and for ImageNet with a pool of stride 2
    and without the second norm.
    """
    drop_path: float = Field(0.0, ge=0, lt=1)
    """ScheduledDropPath: probability in the last cell at the end of training; smaller earlier in time."""
    drop_path_by_depth: bool = True
    """Whether it is smaller in earlier cells too, as in NASNet's code; AmoebaNet and DARTS have it by time
    alone.
    """
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability before the classifier."""
    conventions: Conventions = Conventions()
    """In which the codes of NASNet, AmoebaNet, ENAS, DARTS and timm differ."""

    @model_validator(mode="after")
    def _one_number_per_stack(self) -> Self:
        if len(self.stacks) != self.num_reductions + 1:
            raise ValueError(
                f"cells_per_stack = {list(self.stacks)} has {len(self.stacks)} numbers; there are "
                f"{self.num_reductions + 1} stacks with num_reductions = {self.num_reductions}"
            )
        return self

    @property
    def stacks(self) -> tuple[int, ...]:
        """Normal cells in each stack."""
        if isinstance(self.cells_per_stack, int):
            return (self.cells_per_stack,) * (self.num_reductions + 1)
        return self.cells_per_stack
