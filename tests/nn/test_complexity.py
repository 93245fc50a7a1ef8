"""Parameters, multiply-adds and activations: against the papers, and against the built network."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from raynas.cells.genotype import Genotype
from raynas.cells.published import published_cell
from raynas.errors import InvalidConfig
from raynas.nn import Complexity, NetworkConfig, complexity
from search_spaces.nasnet import NASNET_A, NASNET_A_DARTS
from tests.nn.counted import built_complexity
from tests.nn.small_networks import TINY, meta_network, num_parameters

GOLDEN = json.loads(Path(__file__).with_name("golden_complexity.json").read_text())
COUNTS = ("parameters", "mult_adds", "activations")


def name_of(row: dict[str, Any]) -> str:
    return "-".join(map(str, (row["cell"], *row["network"].values()))).replace(" ", "")


@pytest.fixture(params=GOLDEN["networks"], ids=name_of)
def golden(request):
    return request.param


def genotype_of(row: dict[str, Any]) -> Genotype:
    if row["cell"] == "nasnet_a_loose_normal":
        return Genotype(NASNET_A_DARTS.normal, NASNET_A.reduction)
    return published_cell(row["cell"]).genotype


def image_of(row: dict[str, Any]) -> dict[str, int]:
    return {"in_channels": 3, "num_classes": row["num_classes"], "image_size": row["image_size"]}


def test_arithmetic_gives_the_golden_numbers(golden):
    config = NetworkConfig.model_validate(golden["network"])
    cost = complexity(genotype_of(golden), config, **image_of(golden))
    assert asdict(cost) == {count: golden[count] for count in COUNTS}


@pytest.mark.slow
def test_built_network_has_the_golden_numbers(golden):
    config = NetworkConfig.model_validate(golden["network"])
    built = built_complexity(genotype_of(golden), config, **image_of(golden))
    assert asdict(built) == {count: golden[count] for count in COUNTS}


@pytest.mark.parametrize(
    ("row", "parameters", "mult_adds"),
    [
        (0, 3.3e6, None),
        (4, 3.1e6, None),
        (5, 5.3e6, 564e6),
        (6, 88.9e6, 23.8e9),
        (7, 86.1e6, 25.0e9),
        (8, 5.1e6, 588e6),
    ],
)
def test_golden_numbers_are_those_of_the_papers(row, parameters, mult_adds):
    # Two or three digits are printed there.
    golden = GOLDEN["networks"][row]
    assert golden["parameters"] == pytest.approx(parameters, rel=0.016)
    if mult_adds is not None:
        assert golden["mult_adds"] == pytest.approx(mult_adds, rel=0.003)


@pytest.mark.parametrize(("row", "millions"), [(0, 544.3), (1, 232), (2, 136), (3, 503.4), (4, 499.2)])
def test_golden_mult_adds_of_small_images_are_known_from_an_independent_count(row, millions):
    assert GOLDEN["networks"][row]["mult_adds"] / 1e6 == pytest.approx(millions, rel=0.003)


def test_auxiliary_head_adds_its_parameters_and_is_left_out_of_the_complexity():
    plain, headed = (NetworkConfig(auxiliary_head=flag) for flag in (False, True))
    extra = num_parameters(meta_network(NASNET_A, headed)) - num_parameters(meta_network(NASNET_A, plain))
    assert extra == GOLDEN["auxiliary_head_parameters"]
    image = {"in_channels": 3, "num_classes": 10, "image_size": 32}
    assert complexity(NASNET_A, headed, **image) == complexity(NASNET_A, plain, **image)


@pytest.mark.parametrize("field", ["drop_path", "dropout"])
def test_what_is_for_training_alone_costs_nothing(field):
    image = {"in_channels": 3, "num_classes": 10, "image_size": 32}
    config = NetworkConfig(**{field: 0.5})
    assert complexity(NASNET_A, config, **image) == complexity(NASNET_A, NetworkConfig(), **image)


def test_network_of_no_classes_is_cheaper_by_its_classifier():
    image = {"in_channels": 3, "image_size": 32}
    with_classes = complexity(NASNET_A, NetworkConfig(), num_classes=10, **image)
    without = complexity(NASNET_A, NetworkConfig(), num_classes=0, **image)
    assert without == replace(
        with_classes,
        parameters=with_classes.parameters - 769 * 10,
        mult_adds=with_classes.mult_adds - 768 * 10,
    )
    assert without == built_complexity(NASNET_A, NetworkConfig(), num_classes=0, **image)


def test_complexities_add_up():
    assert Complexity(1, 2, 3) + Complexity(10, 20, 30) == Complexity(11, 22, 33)


@pytest.mark.parametrize(
    ("fields", "image_size"),
    [({"num_reductions": 2}, 3), ({"stem": "imagenet"}, 31), ({"filters": 3, "stem": "imagenet"}, 64)],
)
def test_complexity_refuses_what_the_network_refuses(fields, image_size):
    image = {"in_channels": 3, "num_classes": 10, "image_size": image_size}
    with pytest.raises(InvalidConfig) as of_network:
        meta_network(TINY, NetworkConfig(**fields), **image)
    with pytest.raises(InvalidConfig) as of_complexity:
        complexity(TINY, NetworkConfig(**fields), **image)
    assert str(of_network.value) == str(of_complexity.value)
