"""A genotype as an image classifier: stem, cells and head, built from the network's layer plan.

Methods and attributes that timm's models have go by timm's names: forward_features, forward_head,
num_features, reset_classifier.
"""

# Shapes: N images, C channels, H x W pixels, F features, K classes.

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raynas.cells.genotype import Genotype
from raynas.nn import auxiliary
from raynas.nn.auxiliary import AuxiliaryHead
from raynas.nn.cell import Cell
from raynas.nn.config import NetworkConfig
from raynas.nn.modules import build_layers
from raynas.nn.plan import NetworkPlan, PlacedCell, check_image_size, plan_network


class Network(nn.Module):
    """A genotype, stacked as `config` describes.

    Args:
        in_channels: channels of the images.
        num_classes: 0 to return pooled features instead of logits.
        image_size: pixels per side for which the auxiliary head is built; the network itself takes any size.
    Raises:
        InvalidConfig: the images are too small for so many reductions, or the stem needs more filters.
    """

    def __init__(
        self,
        genotype: Genotype,
        config: NetworkConfig,
        *,
        in_channels: int,
        num_classes: int,
        image_size: int,
    ) -> None:
        super().__init__()
        plan = plan_network(genotype, config, in_channels=in_channels)
        check_image_size(plan, image_size, config)
        self.plan = plan
        self.genotype = genotype
        self.config = config
        self.image_size = image_size
        self.num_classes = num_classes
        self.num_features = plan.num_features
        self.feature_maps = plan.feature_maps
        self.stem = nn.ModuleList(build_layers(layers, config.conventions) for layers in plan.stem)
        self.cells = nn.ModuleList(
            Cell(cell.plan, config.conventions, drop_path=_drop_path(config, index, len(plan.cells)))
            for index, cell in enumerate(plan.cells)
        )
        self.auxiliary = _auxiliary_head(plan, config, num_classes, image_size)
        self.auxiliary_output = plan.auxiliary
        self.head = build_layers(plan.head, config.conventions)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = _classifier(plan.num_features, num_classes)
        self.apply(_initialise)

    def forward(self, images_NCHW: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, K); in training with an auxiliary head, (logits, auxiliary logits)."""
        if self.auxiliary is None or not self.training:
            return self.forward_head(self.forward_features(images_NCHW))
        outputs = self._outputs(images_NCHW, {self.auxiliary_output})
        logits_NK = self.forward_head(self.head(outputs[self._last_output]))
        return logits_NK, self.auxiliary(outputs[self.auxiliary_output])

    def forward_features(self, images_NCHW: Tensor) -> Tensor:
        """The last map (N, F, H / stride, W / stride), ready to be pooled."""
        return self.head(self._outputs(images_NCHW)[self._last_output])  # type: ignore[no-any-return]

    def forward_head(self, features_NFHW: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (N, K) of `forward_features`'s result; with `pre_logits`, the pooled features (N, F)."""
        # The mean over all pixels instead of a pool of fixed size, so that images may have any size.
        features_NF: Tensor = self.dropout(features_NFHW.mean(dim=(2, 3)))
        return features_NF if pre_logits else self.classifier(features_NF)

    def forward_feature_maps(
        self, images_NCHW: Tensor, strides: Collection[int] | None = None
    ) -> list[Tensor]:
        """One map per stride after a ReLU, the largest first; `self.feature_maps` describes them.

        The map of the greatest stride is what `forward_features` returns.

        Args:
            strides: those of the maps to return; None means all.
        """
        features = [feature for feature in self.feature_maps if strides is None or feature.stride in strides]
        outputs = self._outputs(images_NCHW, {feature.output for feature in features})
        # Cells end without a ReLU, because the next one begins with it. The last map gets the network's own
        # head instead.
        return [
            self.head(outputs[feature.output])
            if feature.output == self._last_output
            else F.relu(outputs[feature.output])
            for feature in features
        ]

    def get_classifier(self) -> nn.Module:
        """The last layer; nn.Identity if there are no classes."""
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Replaces the last layer, and the auxiliary head's, with a newly initialised one for other classes.

        Args:
            num_classes: 0 to return pooled features instead of logits.
        """
        self.num_classes = num_classes
        self.classifier = _fitted(_classifier(self.num_features, num_classes), self)
        if self.auxiliary is not None:
            self.auxiliary.classifier = _fitted(_classifier(auxiliary.NUM_FEATURES, num_classes), self)

    @property
    def _last_output(self) -> int:
        return len(self.stem) + len(self.cells) - 1

    def _outputs(self, images_NCHW: Tensor, kept: Collection[int] = ()) -> dict[int, Tensor]:
        """Outputs of stem and cells, by number; only the last ones and those in `kept` are still held."""
        outputs = run_stem(self.stem, images_NCHW)
        run_cells(self.cells, self.plan.cells, outputs, kept)
        return outputs


def run_stem(stem: Iterable[nn.Module], images_NCHW: Tensor) -> dict[int, Tensor]:
    """The stem's outputs, by number."""
    outputs: dict[int, Tensor] = {}
    for number, part in enumerate(stem):
        outputs[number] = part(outputs[number - 1] if number else images_NCHW)
    return outputs


def run_cells(
    cells: Iterable[nn.Module],
    places: Iterable[PlacedCell],
    outputs: dict[int, Tensor],
    kept: Collection[int] = (),
) -> None:
    """Adds the outputs of cells to `outputs`, which has those that they take, and forgets old ones.

    Args:
        places: which outputs each cell takes.
        kept: numbers of outputs that are not forgotten.
    """
    # Most outputs pass a ReLU at the beginning of the next cell and again of the one after it.
    relus: dict[int, Tensor] = {}
    for cell, place in zip(cells, places, strict=True):
        assert isinstance(cell, Cell)
        number = place.current + 1
        taken = place.current, place.previous
        for state in cell.rectified_inputs:
            if taken[state] not in relus:
                relus[taken[state]] = F.relu(outputs[taken[state]])
        rectified = {state: relus[output] for state, output in enumerate(taken) if output in relus}
        outputs[number] = cell(outputs[place.current], outputs[place.previous], rectified=rectified)
        # No cell takes an output older than the two before its current one, so the memory is freed.
        relus.pop(number - 3, None)
        if number - 3 not in kept:
            outputs.pop(number - 3, None)


def _auxiliary_head(
    plan: NetworkPlan, config: NetworkConfig, num_classes: int, image_size: int
) -> AuxiliaryHead | None:
    if not config.auxiliary_head:
        return None
    channels = plan.outputs[plan.auxiliary].channels
    size = plan.sizes(image_size)[plan.auxiliary]
    return AuxiliaryHead(channels, num_classes, size, config.conventions, config.auxiliary_kind)


def _drop_path(config: NetworkConfig, index: int, num_cells: int) -> float:
    return config.drop_path * ((index + 1) / num_cells if config.drop_path_by_depth else 1.0)


def _classifier(num_features: int, num_classes: int) -> nn.Module:
    return nn.Linear(num_features, num_classes) if num_classes else nn.Identity()


def _fitted(module: nn.Module, network: nn.Module) -> nn.Module:
    """`module`, initialised, in the network's mode, on its device and with its dtype."""
    weight = next(network.parameters())
    return module.apply(_initialise).to(weight.device, weight.dtype).train(network.training)


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    # slim's variance scaling with FAN_OUT, where the fan-out of a depthwise filter is its own k x k.
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        fan_out = height * width * module.out_channels / module.groups
        module.weight.normal_(0.0, math.sqrt(2.0 / fan_out))
    elif isinstance(module, nn.Linear):
        module.weight.normal_(0.0, 0.01)
        module.bias.zero_()
