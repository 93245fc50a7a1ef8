"""How cells are stacked into a network, as a value. No torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from raynas.config import FrozenModel

NumCells = Annotated[int, Field(ge=1, le=200)]
MAX_FILTERS = 65_536
NumFilters = Annotated[int, Field(ge=1, le=MAX_FILTERS)]
"""Bounded, so that a damaged file can't fill the memory; published networks have up to 4,032 filters."""


class Conventions(FrozenModel):
    """Details in which the published codes differ; the defaults are those of NASNet's CIFAR-10 code."""

    match_previous: Literal["if_needed", "always"] = "if_needed"
    """When the previous state passes ReLU, 1x1 convolution and norm: only if its shape doesn't fit, or, as in
    DARTS, always.
    """
    strided_identity: Literal["conv", "relu_factorized", "factorized"] = "conv"
    """What replaces an identity of stride 2. 'conv': ReLU, strided 1x1 convolution, norm (NASNet, PNASNet,
    AmoebaNet). 'relu_factorized': ReLU and a factorised reduction (DARTS). 'factorized': no ReLU (ENAS).
    """
    padding: Literal["symmetric", "same", "timm"] = "symmetric"
    """'symmetric': PyTorch's usual padding. 'same': TensorFlow's, which for stride 2 pads an even image only
    at the right and bottom. 'timm': like 'same', except that an average pool of stride 2 counts the padding;
    the accuracies of timm's weights were measured so.
    """
    norm_epsilon: float = Field(1e-5, gt=0)
    """Epsilon of batch norm; slim nasnet.py, cifar_config. 1e-3 for ImageNet."""
    norm_momentum: float = Field(0.1, gt=0, le=1)
    """Momentum of batch norm in PyTorch's sense: 1 minus slim's decay of 0.9. 3e-4 for ImageNet."""


class NetworkConfig(FrozenModel):
    """How cells are stacked into a network; the defaults are NASNet's published CIFAR-10 network."""

    cells_per_stack: NumCells | tuple[NumCells, ...] = 6
    """N: number of Normal cells between two reductions; 6 in the published CIFAR-10 network, 2 in the paper's
    search. A list gives one number for each stack: PNASNet-5 has [4, 3, 3].
    """
    filters: int = Field(32, ge=2, le=MAX_FILTERS)
    """F: number of filters of every state in the first stack; each reduction doubles it."""
    num_reductions: int = Field(2, ge=0, le=5)
    """Number of Reduction cells after the stem; there is one more stack of Normal cells."""
    stem: Literal["small_image", "imagenet", "darts_imagenet"] = "small_image"
    """'small_image': a 3x3 convolution. 'imagenet': a 3x3 convolution of stride 2 without padding, then
    Reduction cells of F/4 and F/2 filters, which together divide the image's sides by eight.
    'darts_imagenet': three 3x3 convolutions of stride 2.
    """
    stem_filters: NumFilters | None = None
    """Number of filters of the stem's first convolution. Defaults to 3 F for small images (F if cells are
    chained), to 32 for 'imagenet', and to F / 2 for 'darts_imagenet'.
    """
    skip_reduction_input: bool = False
    """What the first cell after a reduction takes as its previous state. false: the output just before the
    reduction. true: the one before that (slim's skip_reduction_layer_input, in the large networks).
    """
    head: Literal["relu", "norm_relu", "plain"] = "relu"
    """Layers between the last cell and the pooling. 'norm_relu' is NAS-Bench-201's; 'plain' means none, as in
    DARTS.
    """
    auxiliary_head: bool = False
    """Whether there is a second classifier at two thirds of the depth, which only training uses."""
    auxiliary_kind: Literal["nasnet", "darts", "darts_imagenet"] = "nasnet"
    """Place and form of the auxiliary head. NASNet's comes before the last reduction, DARTS's after it.
    DARTS's for ImageNet also pools with stride 2 and has no second norm.
    """
    drop_path: float = Field(0.0, ge=0, lt=1)
    """ScheduledDropPath: probability of dropping a path of the last cell at the end of training. It grows
    linearly during training.
    """
    drop_path_by_depth: bool = True
    """Whether the probability is also smaller in earlier cells, as in NASNet's code. In AmoebaNet and DARTS
    it is the same for every cell.
    """
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout probability before the classifier."""
    conventions: Conventions = Conventions()
    """Details of execution in which the codes of NASNet, AmoebaNet, ENAS, DARTS and timm differ."""

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
