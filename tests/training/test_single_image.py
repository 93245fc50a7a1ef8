"""D8: a step of one image is refused before any worker starts, where batch norm would see one value."""

from __future__ import annotations

import pytest

from raynas.errors import InvalidConfig, UsageError
from raynas.nn import NetworkConfig, NetworkSpec
from raynas.programs.search.execute import execute
from raynas.programs.search.prepare import prepare_search
from raynas.programs.train.prepare import prepare_training
from raynas.training.single_image import can_train_on_one
from tests.nn.small_networks import TINY

SMALL = {"cells_per_stack": 1, "filters": 4}


def prepared(folder, *, network=None, workers=None, **training):
    settings = {"training": training, "network": {**SMALL, **(network or {})}, "workers": workers or {}}
    return prepare_training(TINY, cell="tiny", recipe="cifar_final", out=folder / "out", settings=settings)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"auxiliary_head": False}, True),
        ({"auxiliary_head": True}, False),
        ({"auxiliary_head": True, "auxiliary_kind": "darts"}, False),
        ({"auxiliary_head": False, "num_reductions": 3}, False),
    ],
)
def test_d8_one_image_does_where_no_norm_sees_a_single_pixel(fields, expected):
    spec = NetworkSpec(TINY, NetworkConfig(**SMALL, **fields), in_channels=1, num_classes=10, image_size=8)
    assert can_train_on_one(spec) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"batch_size": 1},
        {"batch_size": 4, "accumulate": 4},
        {"batch_size": 2, "workers": {"count": 2}},
        {"batch_size": 8, "accumulate": 2, "workers": {"count": 4}},
        {"batch_size": 3, "workers": {"count": 4, "at_least": 1}},
    ],
)
def test_d8_a_step_of_one_image_is_refused_with_what_it_comes_from(tmp_path, fields):
    with pytest.raises(InvalidConfig, match=r"training\.batch_size = \d.*a step of one image.*at least \d+"):
        prepared(tmp_path, **fields)


def test_d8_the_number_of_workers_is_checked_once_it_is_known(tmp_path):
    training = prepared(tmp_path, batch_size=8, workers={"at_least": 1})
    training.check_steps(4)
    with pytest.raises(InvalidConfig, match="with 8 workers"):
        training.check_steps(8)


def test_d8_one_image_is_enough_for_a_network_without_an_auxiliary_head(tmp_path):
    assert prepared(tmp_path, batch_size=1, network={"auxiliary_head": False}).config.training.batch_size == 1


@pytest.mark.parametrize(("batch_size", "per_child"), [(1, 1), (2, 2), (1, 2)])
def test_d8_a_search_or_promotion_in_steps_of_one_image_is_refused(tmp_path, batch_size, per_child):
    settings = {
        "child": {"batch_size": batch_size},
        "network": {"auxiliary_head": True},
        "workers": {"per_child": per_child},
    }
    with pytest.raises(UsageError, match=r"child\.batch_size = .*batch norm needs two"):
        execute(prepare_search(out=tmp_path / "run", settings=settings))
    assert not (tmp_path / "run").exists()
