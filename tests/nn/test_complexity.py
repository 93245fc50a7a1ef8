"""Parameters and multiply-adds: against the papers, against the built network, against torch's own count."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from raynas.genotype import OPERATIONS, CellGenotype, Genotype, loose_states
from raynas.nn import NetworkConfig, complexity, ops
from search_spaces.nasnet import NASNET_A
from tests.nn.small_networks import (
    cells,
    meta_network,
    network_configs,
    num_parameters,
    one_block,
    searched_genotypes,
)

GOLDEN = json.loads(Path(__file__).with_name("golden_complexity.json").read_text())


def loose(cell: CellGenotype) -> CellGenotype:
    return CellGenotype(cell.blocks, loose_states(cell.blocks))


GENOTYPES = {
    "official": NASNET_A,
    "loose_normal": Genotype(loose(NASNET_A.normal), NASNET_A.reduction),
    "loose": Genotype(loose(NASNET_A.normal), loose(NASNET_A.reduction)),
}


@pytest.fixture(
    params=GOLDEN["networks"], ids=lambda row: f"{row['cell']}-{row['cells_per_stack']}-{row['filters']}"
)
def golden(request):
    return request.param


def config_of(row):
    return NetworkConfig(cells_per_stack=row["cells_per_stack"], filters=row["filters"])


def test_arithmetic_gives_the_published_complexity(golden):
    cost = complexity(
        GENOTYPES[golden["cell"]], config_of(golden), in_channels=3, num_classes=10, image_size=32
    )
    assert (cost.parameters, cost.mult_adds) == (golden["parameters"], golden["mult_adds"])


def test_built_network_has_the_published_parameters(golden):
    network = meta_network(GENOTYPES[golden["cell"]], config_of(golden))
    assert num_parameters(network) == golden["parameters"]


@pytest.mark.parametrize(("row", "millions"), [(0, 544.3), (1, 232), (2, 136), (3, 503.4), (4, 499.2)])
def test_golden_mult_adds_are_those_of_the_fact_sheet(row, millions):
    assert GOLDEN["networks"][row]["mult_adds"] / 1e6 == pytest.approx(millions, rel=0.003)


def test_auxiliary_head_adds_its_parameters_and_is_left_out_of_the_complexity():
    plain, headed = (NetworkConfig(auxiliary_head=flag) for flag in (False, True))
    extra = num_parameters(meta_network(NASNET_A, headed)) - num_parameters(meta_network(NASNET_A, plain))
    assert extra == GOLDEN["auxiliary_head_parameters"]
    image = {"in_channels": 3, "num_classes": 10, "image_size": 32}
    assert complexity(NASNET_A, headed, **image) == complexity(NASNET_A, plain, **image)


def test_the_same_operations_are_named_counted_and_built():
    # The module; raynas.nn.complexity is the function.
    counted = sys.modules[complexity.__module__]._OPS
    assert set(counted) == set(ops._BUILDERS) == set(OPERATIONS)


def assert_counted_as_built(genotype, config, *, in_channels, num_classes, image_size):
    image = {"in_channels": in_channels, "num_classes": num_classes, "image_size": image_size}
    cost = complexity(genotype, config, **image)
    network = meta_network(genotype, config, **image).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, in_channels, image_size, image_size, device="meta"))
    assert cost.parameters == num_parameters(network)
    assert 2 * cost.mult_adds == counter.get_total_flops()


images = st.fixed_dictionaries(
    {
        "in_channels": st.sampled_from([1, 3]),
        "num_classes": st.integers(2, 11),
        "image_size": st.integers(4, 19),
    }
)


@settings(max_examples=8)
@given(genotype=searched_genotypes(), config=network_configs(), image=images)
def test_searched_architectures_are_counted_as_built(genotype, config, image):
    assert_counted_as_built(genotype, config, **image)


@settings(max_examples=8)
@given(genotype=st.builds(Genotype, cells(), cells()), config=network_configs(), image=images)
def test_any_architecture_is_counted_as_built(genotype, config, image):
    assert_counted_as_built(genotype, config, **image)


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("image_size", [8, 9])
def test_each_operation_is_counted_as_built(op, image_size):
    genotype = Genotype(one_block(op, op), one_block(op, op, combiner="concat"))
    config = NetworkConfig(cells_per_stack=1, filters=5, num_reductions=1)
    assert_counted_as_built(genotype, config, in_channels=3, num_classes=4, image_size=image_size)
