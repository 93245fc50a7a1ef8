"""Every registered search space keeps its promises, and its networks cost what is counted."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch

from raynas.cells.genotype import Genotype
from raynas.cells.space import SPACES, make_space
from raynas.nn import Network, NetworkConfig, complexity
from raynas.testing import check_space
from tests.nn.counted import built_complexity

SAMPLES = 50
"""Number of architectures; benchmarks/spaces.py does it with a thousand larger ones."""
COUNTED = 4
SMALL = {"cells_per_stack": 1, "num_reductions": 1}


@pytest.fixture(params=SPACES.names())
def space(request):
    return make_space(request.param)


def drawn(space, num_samples: int, seed: int) -> Iterator[Genotype]:
    """Uniform over the actions."""
    rng = random.Random(seed)
    for _ in range(num_samples):
        yield space.decode([rng.randrange(len(decision.choices)) for decision in space.decisions])


def small_config(space, **fields: object) -> NetworkConfig:
    """The space's own network, but small."""
    return NetworkConfig.model_validate({**space.network, **SMALL, **fields})


def built(genotype: Genotype, config: NetworkConfig, image_size: int, seed: int = 0) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Network(genotype, config, in_channels=3, num_classes=4, image_size=image_size)


@pytest.mark.slow
def test_it_keeps_the_promises_of_every_space(space):
    check_space(space)


def test_networks_of_one_seed_are_equal(space):
    (genotype,) = drawn(space, 1, seed=2)
    config = small_config(space, filters=4)
    first, second, other = (built(genotype, config, 8, seed).state_dict() for seed in (0, 0, 1))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


@pytest.mark.slow
def test_every_architecture_costs_what_is_counted(space):
    for index, genotype in enumerate(drawn(space, COUNTED, seed=4)):
        config = small_config(space, filters=4 + index % 5)
        image = {"in_channels": 3, "num_classes": 4, "image_size": 8 + index}
        assert complexity(genotype, config, **image) == built_complexity(genotype, config, **image)


def test_writings_of_one_graph_cost_the_same(space):
    config = small_config(space, filters=5)
    image = {"in_channels": 3, "num_classes": 4, "image_size": 8}
    for genotype in drawn(space, SAMPLES, seed=5):
        canonical = complexity(genotype.canonical(), config, **image)
        assert complexity(genotype, config, **image) == canonical
