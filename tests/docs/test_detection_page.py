"""What docs/detection.md shows is true."""

from __future__ import annotations

import re
from pathlib import Path

from raynas.detection.config import DetectorConfig
from raynas.detection.plan import plan_detector
from raynas.models.networks import NETWORKS
from raynas.nn.plan import plan_network
from raynas.programs.detect.recipes import DEFAULT_RECIPE, DETECT_RECIPES

PAGE = (Path(__file__).parents[2] / "docs" / "detection.md").read_text()


def test_the_table_of_maps_has_what_the_networks_have():
    rows = re.findall(r"^\| (\w+) \| ([\d,]+|-) \| ([\d ,|]+) \| (\d) to 32 \|$", PAGE, re.M)
    shown = {}
    for name, first, rest, largest in rows:
        channels = [0 if cell == "-" else int(cell.replace(",", "")) for cell in (first, *rest.split(" | "))]
        shown[name] = (dict(zip((2, 4, 8, 16, 32), channels, strict=True)), int(largest))
    assert set(shown) == {name for name in NETWORKS if "cifar" not in name}
    for name, (channels_of, largest) in shown.items():
        spec = NETWORKS[name].spec
        maps = plan_network(spec.genotype, spec.config, in_channels=3).feature_maps
        assert {2: 0} | {one.stride: one.channels for one in maps} == channels_of, name
        assert plan_detector(spec, DetectorConfig(), num_classes=80).maps[0].stride == largest, name


def test_the_table_of_recipes_has_all_of_them():
    assert set(re.findall(r"^\| `(\w+)`", PAGE, re.M)) >= set(DETECT_RECIPES)
    assert f"`{DEFAULT_RECIPE}` (default)" in PAGE
