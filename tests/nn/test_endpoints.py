"""What the published networks give out at every height, against the official tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raynas.cells.published import published_cell
from raynas.nn import Conventions, NetworkConfig
from raynas.nn.plan import plan_network
from tests.nn.small_networks import meta_images, meta_network, outputs_of

GOLDEN = json.loads(Path(__file__).with_name("golden_endpoints.json").read_text())


@pytest.fixture(params=GOLDEN["networks"], ids=lambda row: row["name"])
def golden(request):
    return request.param


def expected(row: dict[str, Any]) -> list[tuple[int, int, int]]:
    return [(channels, side, side) for _, times, channels, side in row["outputs"] for _ in range(times)]


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_built_network_has_the_official_endpoints(golden, padding):
    genotype = published_cell(golden["cell"]).genotype
    config = NetworkConfig(**golden["network"], conventions=Conventions(padding=padding))
    network = meta_network(genotype, config, image_size=golden["image_size"])
    shapes = outputs_of([*network.stem, *network.cells], network, meta_images(golden["image_size"]))
    assert shapes == expected(golden)


def test_plan_knows_the_official_endpoints(golden):
    genotype = published_cell(golden["cell"]).genotype
    plan = plan_network(genotype, NetworkConfig(**golden["network"]), in_channels=3)
    sizes = plan.sizes(golden["image_size"])
    assert [(o.channels, s, s) for o, s in zip(plan.outputs, sizes, strict=True)] == expected(golden)


def test_reductions_are_where_the_official_ones_are(golden):
    genotype = published_cell(golden["cell"]).genotype
    plan = plan_network(genotype, NetworkConfig(**golden["network"]), in_channels=3)
    kinds = [kind for kind, times, *_ in golden["outputs"] for _ in range(times)]
    stride_of = {"normal": 1, "reduction": 2}
    assert [cell.plan.shape.stride for cell in plan.cells] == [stride_of[kind] for kind in kinds[1:]]
