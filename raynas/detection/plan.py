"""A detector as a value: the network, which of its maps it takes, and every setting filled in. No torch.

detector.py builds it, complexity.py counts it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from raynas.detection.config import DetectorConfig
from raynas.errors import InvalidConfig
from raynas.nn.plan import FeatureMap, NetworkPlan, plan_network
from raynas.nn.spec import NetworkSpec

LARGE = 2048
"""Channels of the last map from which on a network counts as large."""


@dataclass(frozen=True, slots=True)
class DetectorPlan:
    """Everything that determines a detector except its weights and how its pictures are normalised."""

    network: NetworkSpec
    """The classifier whose features it uses, without its auxiliary head and its last layer."""
    config: DetectorConfig
    """Settings, of which none that concerns this form is None."""
    num_classes: int
    """Classes of objects; background is not one of them."""
    maps: tuple[FeatureMap, ...]
    """'fpn': the maps under the pyramid. 'cells': the outputs that are concatenated."""
    layers: NetworkPlan
    first_cells: int
    """'cells': number of cells before the last reduction, which run once for each picture; else of all."""

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the maps that anchors lie on."""
        if self.config.head == "cells":
            return (self.maps[0].stride,)
        return (*(one.stride for one in self.maps), 2 * self.maps[-1].stride)

    @property
    def num_anchors(self) -> int:
        """Anchors at each place of a map."""
        assert self.config.anchor_sizes is not None
        return len(self.config.anchor_sizes[0]) * len(self.config.aspect_ratios)


def plan_detector(network: NetworkSpec, config: DetectorConfig, *, num_classes: int) -> DetectorPlan:
    """The detector on this network's features, with the defaults that suit it.

    Args:
        num_classes: classes of objects, without background.
    Raises:
        InvalidConfig: the network has no such maps, the anchors don't fit the maps, or there are no classes.
    """
    if num_classes < 1:
        raise InvalidConfig(f"num_classes = {num_classes}: a detector needs at least one class of objects.")
    plain = network.config.model_copy(update={"auxiliary_head": False})
    stripped = replace(network, config=plain, num_classes=0)
    layers = plan_network(network.genotype, stripped.config, in_channels=network.in_channels)
    if config.head == "cells":
        first_cells = _cells_before_last_reduction(layers)
        maps = tuple(layers.states_before(first_cells))
        filled = _filled(config, _CELLS_DEFAULTS, kept=300, batch=64)
    else:
        first_cells = len(layers.cells)
        maps = _chosen_maps(layers, config.maps)
        filled = _filled(config, _fpn_defaults(maps), kept_train=2000, kept=1000, batch=512)
    plan = DetectorPlan(stripped, filled, num_classes, maps, layers, first_cells)
    _check_anchors(plan)
    return plan


_CELLS_DEFAULTS: dict[str, Any] = {
    "rpn_channels": 512,
    "crop": 17,
    "anchor_sizes": ((64, 128, 256, 512),),
}


def _fpn_defaults(maps: tuple[FeatureMap, ...]) -> dict[str, Any]:
    is_fine = maps[0].stride <= 4
    return {
        "maps": tuple(one.stride for one in maps),
        "fpn_channels": 256 if is_fine else 128,
        "box_features": 1024 if is_fine else 512,
        "crop": 7,
        "anchor_sizes": tuple((32 * 2**level,) for level in range(len(maps) + 1)),
    }


def _filled(
    config: DetectorConfig, defaults: dict[str, Any], *, kept: int, batch: int, kept_train: int | None = None
) -> DetectorConfig:
    missing = {name: value for name, value in defaults.items() if getattr(config, name) is None}
    proposals, boxes = config.proposals, config.boxes
    return config.model_copy(
        update={
            **missing,
            "proposals": proposals.model_copy(
                update={
                    "kept": proposals.kept or kept,
                    "kept_train": proposals.kept_train or kept_train or kept,
                }
            ),
            "boxes": boxes.model_copy(update={"batch": boxes.batch or batch}),
        }
    )


def _chosen_maps(layers: NetworkPlan, strides: tuple[int, ...] | None) -> tuple[FeatureMap, ...]:
    """The maps under the pyramid, down to the network's last one."""
    known = {one.stride: one for one in layers.feature_maps}
    last = max(known)
    if strides is None:
        largest = 4 if layers.num_features >= LARGE else 8
        strides = tuple(stride for stride in known if stride >= largest)
    if last < 16:
        raise InvalidConfig(
            f"The network's maps have strides {_listed(known)}, too small to find objects in a picture. "
            "Build it with network.stem=imagenet, whose maps go to 32."
        )
    if not set(strides) <= set(known) or strides[-1] != last:
        raise InvalidConfig(
            f"detector.maps = {list(strides)}: the network has maps of strides {_listed(known)}. Give some "
            f"of those without a gap, down to {last}, because cells behind the last map would never be "
            "trained."
        )
    return tuple(known[stride] for stride in strides)


def _cells_before_last_reduction(layers: NetworkPlan) -> int:
    first_cells = layers.last_reduction
    if first_cells is None or layers.states_before(first_cells)[-1].stride < 8:
        raise InvalidConfig(
            "detector.head = cells needs a network whose last reduction begins at a stride of 8 or more; "
            f"this one's maps have strides {_listed(one.stride for one in layers.feature_maps)}. Build it "
            "with network.stem=imagenet, or take detector.head=fpn."
        )
    return first_cells


def _check_anchors(plan: DetectorPlan) -> None:
    sizes = plan.config.anchor_sizes
    assert sizes is not None
    if len(sizes) != len(plan.strides):
        raise InvalidConfig(
            f"detector.anchor_sizes has {len(sizes)} lists, and the detector has {len(plan.strides)} maps, "
            f"of strides {_listed(plan.strides)}. Give a list of sizes for each."
        )


def _listed(numbers: Any) -> str:
    return ", ".join(map(str, numbers))
