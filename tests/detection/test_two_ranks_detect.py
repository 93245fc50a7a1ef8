"""Two ranks train and evaluate a detector as one does."""

from __future__ import annotations

import pytest
import torch

from raynas.training.device import Placement
from tests.detection.rank_process import evaluated, gradient, train_ranks, write_data

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("ranks"))


@pytest.fixture(scope="module")
def two_ranks(folder):
    return train_ranks(2, folder)


def test_two_ranks_give_the_gradient_of_one_with_twice_the_pictures(two_ranks, folder):
    one = gradient(folder, Placement())
    first, second = (end["gradient"] for end in two_ranks)
    assert [name for name in one if not torch.equal(first[name], second[name])] == []
    whole, other = (torch.cat([change.flatten() for change in each.values()]) for each in (one, first))
    assert (whole - other).norm() / whole.norm() < 1e-5
    frozen = {name for name, change in one.items() if not change.any()}
    # Norms are frozen, and nothing else is.
    trained = [change.abs().max().item() for name, change in one.items() if name not in frozen]
    assert len(trained) > 50 and max(trained) > 1e-2


def test_two_ranks_evaluate_as_one_does(two_ranks, folder):
    one = evaluated(folder, Placement())
    first, second = (end["evaluated"] for end in two_ranks)
    # Rank 0 alone draws pictures.
    for end in (first, one):
        end["scores"].pop("pictures")
    assert first["scores"] == second["scores"] == one["scores"]
    # A detector of random weights finds something by chance, or equal numbers would say nothing.
    assert 0.0 < one["scores"]["ar100"] < 1.0
    parts = torch.cat([first["predictions"], second["predictions"]])
    order = torch.argsort(parts[:, 0], stable=True)
    assert torch.equal(parts[order], one["predictions"])
