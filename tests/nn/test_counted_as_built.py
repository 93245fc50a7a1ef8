"""Whatever is built costs what the arithmetic says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raynas.cells.block import COMBINERS, OPERATIONS
from raynas.cells.genotype import Genotype
from raynas.nn import Conventions, NetworkConfig, complexity, ops
from tests.nn.counted import built_complexity
from tests.nn.small_networks import (
    genotypes,
    network_configs,
    one_block,
    searched_genotypes,
    smallest_image,
)

IMAGE = {"in_channels": 3, "num_classes": 4}


def assert_counted_as_built(genotype, config, **image):
    assert complexity(genotype, config, **image) == built_complexity(genotype, config, **image)


images = st.fixed_dictionaries(
    {
        "in_channels": st.sampled_from([1, 3]),
        "num_classes": st.integers(0, 11),
        "extra_pixels": st.integers(0, 19),
    }
)


def image_for(config: NetworkConfig, *, extra_pixels: int, **image: int) -> dict[str, int]:
    return {**image, "image_size": smallest_image(config) + extra_pixels}


@pytest.mark.slow
@settings(max_examples=15)
@given(genotype=searched_genotypes(), config=network_configs(), image=images)
def test_searched_architectures_are_counted_as_built(genotype, config, image):
    assert_counted_as_built(genotype, config, **image_for(config, **image))


@pytest.mark.slow
@settings(max_examples=30)
@given(genotype=genotypes(), config=network_configs(), image=images)
def test_any_architecture_is_counted_as_built(genotype, config, image):
    assert_counted_as_built(genotype, config, **image_for(config, **image))


def test_the_same_operations_are_named_and_built():
    assert tuple(ops._LAYERS) == OPERATIONS


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("filters", [3, 5, 8])
def test_each_operation_is_counted_as_built(op, filters):
    # Fewer than 4 filters have no quarter to be a bottleneck.
    genotype = Genotype(one_block(op, op), one_block(op, op))
    config = NetworkConfig(cells_per_stack=1, filters=filters, num_reductions=1)
    assert_counted_as_built(genotype, config, **IMAGE, image_size=9)


@pytest.mark.parametrize("combiner", COMBINERS)
def test_each_combiner_is_counted_as_built(combiner):
    cell = one_block("conv_1x1", "max_pool_2x2", combiner=combiner)
    config = NetworkConfig(cells_per_stack=1, filters=5, num_reductions=1)
    assert_counted_as_built(Genotype(cell, cell), config, **IMAGE, image_size=8)


@pytest.mark.parametrize("stem", ["small_image", "imagenet", "darts_imagenet"])
@pytest.mark.parametrize("filters", [13, 27])
def test_odd_filters_are_counted_as_built(stem, filters):
    cell = one_block("sep_conv_3x3", "identity", combiner="concat")
    for strided_identity in ("conv", "factorized"):
        config = NetworkConfig(
            cells_per_stack=(1, 2),
            filters=filters,
            num_reductions=1,
            stem=stem,
            conventions=Conventions(strided_identity=strided_identity),
        )
        assert_counted_as_built(Genotype(cell, cell), config, **IMAGE, image_size=19)
