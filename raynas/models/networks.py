"""Published networks by name: published cells, stacked as in their papers.

network = raynas.build("nasnet_a_large", num_classes=10)
backbone = raynas.build("pnasnet5_mobile", features_only=True)
"""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, overload

from torch import Tensor, nn

from raynas.cells.genotype import Genotype
from raynas.cells.published import published_cell
from raynas.config import merged, validated
from raynas.errors import UnknownName, WeightsError
from raynas.models.fitting import CLASSIFIER, Fitted, fit_weights
from raynas.models.preprocess import Preprocessing
from raynas.models.weights import Weights, read_weights
from raynas.nn import Conventions, Network, NetworkConfig, NetworkSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublishedNetwork:
    """A published cell, stacked as in its paper."""

    cell: str
    """Name of the published cell."""
    config: NetworkConfig
    image_size: int
    """Pixels per side."""
    num_classes: int
    source: str
    """Where the numbers come from."""

    @property
    def spec(self) -> NetworkSpec:
        """The network with its paper's images and classes; the cell is looked up by name."""
        genotype = published_cell(self.cell).genotype
        return NetworkSpec(genotype, self.config, 3, self.num_classes, self.image_size)

    @property
    def preprocessing(self) -> Preprocessing:
        """How pictures become this network's input."""
        # The smaller networks were evaluated with Inception's central crop of 87.5 %.
        return Preprocessing(self.image_size, 0.911 if self.image_size == 331 else 0.875)


_TF_CIFAR = Conventions(padding="same")
_TF_IMAGENET = Conventions(padding="same", norm_epsilon=1e-3, norm_momentum=3e-4)
_DARTS = Conventions(match_previous="always", strided_identity="relu_factorized")
_ENAS = Conventions(padding="same", strided_identity="factorized")

_SLIM = "tensorflow/models slim nasnet.py"
_PNAS = "Liu et al. 2018, arXiv 1712.00559; tensorflow/models slim pnasnet.py"
_AMOEBA = "Real et al. 2019, arXiv 1802.01548"


def _imagenet(cell: str, source: str, *, image_size: int, **fields: Any) -> PublishedNetwork:
    config = NetworkConfig(stem="imagenet", dropout=0.5, conventions=_TF_IMAGENET, **fields)
    return PublishedNetwork(cell, config, image_size, 1000, source)


def _amoebanet(
    cell: str, source: str, *, cells_per_stack: int, filters: int, image_size: int
) -> PublishedNetwork:
    return _imagenet(
        cell,
        source,
        image_size=image_size,
        cells_per_stack=cells_per_stack,
        filters=filters,
        drop_path=0.3,
        drop_path_by_depth=False,
    )


def _small(cell: str, source: str, **fields: Any) -> PublishedNetwork:
    return PublishedNetwork(cell, NetworkConfig(**fields), 32, 10, source)


def _darts(cell: str, source: str) -> PublishedNetwork:
    config = {"filters": 36, "head": "plain", "auxiliary_kind": "darts", "conventions": _DARTS}
    return _small(cell, source, drop_path=0.2, drop_path_by_depth=False, **config)


NETWORKS: dict[str, PublishedNetwork] = {
    "nasnet_a_cifar": _small(
        "nasnet_a", f"6@768: {_SLIM}, cifar_config", filters=32, drop_path=0.4, conventions=_TF_CIFAR
    ),
    "nasnet_a_mobile": _imagenet(
        "nasnet_a",
        f"4@1056: {_SLIM}, mobile_imagenet_config",
        image_size=224,
        cells_per_stack=4,
        filters=44,
    ),
    "nasnet_a_large": _imagenet(
        "nasnet_a",
        f"6@4032: {_SLIM}, large_imagenet_config",
        image_size=331,
        cells_per_stack=6,
        filters=168,
        stem_filters=96,
        skip_reduction_input=True,
        drop_path=0.3,
    ),
    # slim sets skip_reduction_layer_input here too, but its PNASNet wires cells as NASNet does without it.
    "pnasnet5_mobile": _imagenet(
        "pnasnet5",
        _PNAS,
        image_size=224,
        cells_per_stack=(3, 2, 2),
        filters=54,
    ),
    "pnasnet5_large": _imagenet(
        "pnasnet5",
        _PNAS,
        image_size=331,
        cells_per_stack=(4, 3, 3),
        filters=216,
        stem_filters=96,
        drop_path=0.4,
    ),
    "amoebanet_a_cifar": _small(
        "amoebanet_a_tpu", f"{_AMOEBA}: N=6, F=36", filters=36, drop_path=0.3, conventions=_TF_CIFAR
    ),
    "amoebanet_a_mobile": _amoebanet(
        "amoebanet_a_tpu", f"{_AMOEBA}: N=4, F=50", cells_per_stack=4, filters=50, image_size=224
    ),
    "amoebanet_a_large": _amoebanet(
        "amoebanet_a_tpu", f"{_AMOEBA}: N=6, F=190", cells_per_stack=6, filters=190, image_size=331
    ),
    "amoebanet_b_mobile": _amoebanet(
        "amoebanet_b", f"{_AMOEBA}: N=3, F=62", cells_per_stack=3, filters=62, image_size=224
    ),
    "amoebanet_c_mobile": _amoebanet(
        "amoebanet_c", f"{_AMOEBA}: N=4, F=50", cells_per_stack=4, filters=50, image_size=224
    ),
    "amoebanet_d_large": _amoebanet(
        "amoebanet_d",
        "tensorflow/tpu amoeba_net, the defaults of its flags",
        cells_per_stack=6,
        filters=256,
        image_size=299,
    ),
    "darts_v1_cifar": _darts("darts_v1", "Liu et al. 2019, arXiv 1806.09055; quark0/darts cnn/train.py"),
    "darts_v2_cifar": _darts("darts_v2", "Liu et al. 2019, arXiv 1806.09055; quark0/darts cnn/train.py"),
    "darts_v2_imagenet": PublishedNetwork(
        "darts_v2",
        NetworkConfig(
            cells_per_stack=4,
            filters=48,
            stem="darts_imagenet",
            head="plain",
            auxiliary_kind="darts_imagenet",
            conventions=_DARTS,
        ),
        224,
        1000,
        "Liu et al. 2019, arXiv 1806.09055; quark0/darts cnn/train_imagenet.py",
    ),
    "enas_micro_cifar": _small(
        "enas_micro",
        "Pham et al. 2018, arXiv 1802.03268; melodyguan/enas scripts/cifar10_micro_final.sh",
        cells_per_stack=5,
        filters=36,
        drop_path=0.4,
        conventions=_ENAS,
    ),
}


class FeatureExtractor(nn.Module):
    """A network without its classifier: images to one feature map per stride, for detection and fine-tuning.

    Attributes:
        feature_info: a FeatureMap (output, channels, stride) for each map that `forward` returns.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        network.reset_classifier(0)
        self.network = network
        self.feature_info = network.feature_maps

    def forward(self, images_NCHW: Tensor) -> list[Tensor]:
        """Feature maps after a ReLU, the largest first."""
        return self.network.forward_feature_maps(images_NCHW)


def published_network(name: str) -> PublishedNetwork:
    """The published network called `name`; UnknownName suggests the nearest."""
    if name not in NETWORKS:
        hint = "Any genotype can be built: raynas.build(genotype, cells_per_stack=..., filters=...)."
        raise UnknownName("published network", name, NETWORKS, hint)
    return NETWORKS[name]


def on_cifar(genotype: Genotype) -> NetworkSpec:
    """The cell stacked as in NASNet's published CIFAR-10 network: 6 cells per stack, 32 filters."""
    return NetworkSpec(genotype, NetworkConfig(), in_channels=3, num_classes=10, image_size=32)


@overload
def build(
    network: str | Genotype,
    *,
    num_classes: int | None = None,
    in_channels: int = 3,
    image_size: int | None = None,
    weights: str | Path | Mapping[str, Tensor] | None = None,
    features_only: Literal[False] = False,
    **settings: Any,
) -> Network: ...
@overload
def build(
    network: str | Genotype,
    *,
    num_classes: int | None = None,
    in_channels: int = 3,
    image_size: int | None = None,
    weights: str | Path | Mapping[str, Tensor] | None = None,
    features_only: Literal[True],
    **settings: Any,
) -> FeatureExtractor: ...
def build(
    network: str | Genotype,
    *,
    num_classes: int | None = None,
    in_channels: int = 3,
    image_size: int | None = None,
    weights: str | Path | Mapping[str, Tensor] | None = None,
    features_only: bool = False,
    **settings: Any,
) -> Network | FeatureExtractor:
    """A published network, or any genotype, as a torch module.

    Args:
        network: name of a published network (see NETWORKS), or a Genotype.
        num_classes: number of classes. Defaults to the published network's, or to 10 for a Genotype. 0 gives
            pooled features instead of logits.
        in_channels: channels of the images: 1 for grey, 3 for colour.
        image_size: pixels per side. Defaults to the published network's, or to 32 for a Genotype. The network
            takes other sizes too; only the auxiliary head is built for this one.
        weights: 'timm:TAG' (fetched through timm, such as 'timm:tf_in1k'), a file, a folder or a state
            dict, in any wrapping that `read_weights` takes. If `num_classes` is given and differs from what
            they were trained with, the classifier is initialised anew; if `in_channels` differs, the first
            convolution is changed as in timm.
        features_only: return feature maps at several strides instead of logits.
        settings: fields of NetworkConfig to override, such as auxiliary_head=True or
            conventions={"padding": "timm"}.
    Raises:
        UnknownName: no network has this name.
        InvalidConfig: a setting is unknown or out of bounds.
        WeightsError: the weights can't be fetched or read, or they don't fit.
    """
    default = on_cifar(network) if isinstance(network, Genotype) else published_network(network).spec
    spec = replace(
        default,
        config=validated(NetworkConfig, merged(default.config.model_dump(), settings), where="network"),
        in_channels=in_channels,
        num_classes=default.num_classes if num_classes is None else num_classes,
        image_size=image_size or default.image_size,
    )
    if weights is None:
        built = spec.build()
    else:
        name = network if isinstance(network, str) else "your own genotype"
        built = _with_weights(
            spec, read_weights(weights, name), may_be_new=features_only or num_classes is not None
        )
    return FeatureExtractor(built) if features_only else built


def _with_weights(spec: NetworkSpec, weights: Weights, *, may_be_new: bool) -> Network:
    """The network with these weights; its classifier may be new if it has other classes."""
    fitted = fit_weights(weights.state, spec)
    if not may_be_new:
        check_classifier(fitted, weights)
    for note in (*weights.notes, *fitted.notes, *(f"new {part}: {why}" for part, why in fitted.new.items())):
        logger.info("weights from %s: %s", weights.source, note)
    network = spec.build()
    network.load_state_dict(fitted.state, strict=False)
    return network


def check_classifier(fitted: Fitted, weights: Weights) -> None:
    """WeightsError if the classifier would be made anew."""
    if CLASSIFIER not in fitted.new:
        return
    raise WeightsError(
        f"{weights.source}: the classifier doesn't fit: {fitted.new[CLASSIFIER]}. Give the number of classes "
        "that the weights were trained with (num_classes, --num-classes)."
    )
