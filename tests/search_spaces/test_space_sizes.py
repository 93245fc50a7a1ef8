"""How many cells each space has, as the papers and Radosavovic et al. 2019 (arXiv 1905.13214) count them."""

from __future__ import annotations

import math

import pytest

from raynas.cells.space import make_space

PAIRS_OF_STATES = math.prod((2 + block) ** 2 for block in range(5))
"""Of five blocks, each with any two of the states before it: 518,400."""
NASNET_SUMS = 71_465_842_174_521_600


@pytest.mark.parametrize(
    ("name", "options", "cells", "per_cell"),
    [
        ("nasnet", {"combiners": ["add"]}, 2, NASNET_SUMS),
        ("nasnet", {}, 2, NASNET_SUMS * 2**5),
        ("nasnet_c", {}, 2, NASNET_SUMS * 4**5),
        ("nasnet_b", {}, 2, (4 * 5 * 6 * 7) ** 2 * (13 * 13 * 4) ** 4),
        ("amoebanet", {}, 2, 556_627_761_561_600),
        ("pnasnet", {}, 1, 556_627_761_561_600),
        ("enas", {}, 2, 5_062_500_000_000),
        ("darts", {}, 2, 180 * 7**8),
        ("nasbench201", {}, 1, 15_625),
    ],
)
def test_the_size_is_the_papers(name, options, cells, per_cell):
    assert make_space(name, **options).size == per_cell**cells


@pytest.mark.parametrize(("num_ops", "per_cell"), [(13, NASNET_SUMS), (8, 556_627_761_561_600)])
def test_the_counts_follow_from_states_and_operations(num_ops, per_cell):
    assert (PAIRS_OF_STATES, per_cell) == (518_400, PAIRS_OF_STATES * num_ops**10)
