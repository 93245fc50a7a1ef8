"""The front, its hypervolume and what a point adds: against counting the squares of a grid."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.strategies.rewards.front import Front, FrontPoint

SIDE = 8
# Eighths, so that every area is exact; also beyond the unit square.
points = st.tuples(st.integers(0, SIDE + 2), st.integers(-1, SIDE)).map(
    lambda pair: (pair[0] / SIDE, pair[1] / SIDE)
)
many = st.lists(points, max_size=12)


def counted(found: list[FrontPoint]) -> float:
    """The share of the grid's squares that some point dominates."""
    squares = itertools.product(range(SIDE), range(SIDE))
    dominated = [
        any(cost <= column / SIDE and accuracy >= (row + 1) / SIDE for cost, accuracy in found)
        for column, row in squares
    ]
    return sum(dominated) / len(dominated)


def is_dominated(point: FrontPoint, by: FrontPoint) -> bool:
    return by != point and by[0] <= point[0] and by[1] >= point[1]


def inside(found: list[FrontPoint]) -> set[FrontPoint]:
    return {(cost, accuracy) for cost, accuracy in found if cost < 1 and accuracy > 0}


@given(many)
def test_the_front_is_what_nothing_dominates_in_whatever_order_it_comes(found):
    expected = sorted(p for p in inside(found) if not any(is_dominated(p, other) for other in inside(found)))
    assert Front(found).points == Front(reversed(found)).points == expected
    assert all(point in Front(found) for point in expected)
    assert all((point in Front(found)) == (point in expected) for point in found)


@given(many)
def test_the_hypervolume_is_the_area_that_is_dominated(found):
    assert Front(found).hypervolume() == counted(found)


@given(many, points)
def test_a_point_that_adds_area_is_worth_that_area(found, point):
    before, after = Front(found), Front([*found, point])
    added = after.hypervolume() - before.hypervolume()
    assert before.covers(point) == (added == 0)
    if added:
        assert before.improvement(point) == added


@given(many, points)
def test_a_point_that_adds_none_is_worth_minus_the_way_to_where_it_would(found, point):
    """The nearest such place shares its coordinates with the grid."""
    front = Front(found)
    if not front.covers(point):
        return
    ticks = [tick / SIDE for tick in range(SIDE + 1)]
    border = [
        place
        for place in itertools.product(ticks, ticks)
        if not any(cost < place[0] and accuracy > place[1] for cost, accuracy in front.points)
    ]
    nearest = min(math.hypot(max(point[0] - x, 0), max(y - point[1], 0)) for x, y in border)
    assert front.improvement(point) == pytest.approx(-nearest, abs=1e-12)


def test_an_empty_front_has_no_area_and_the_first_point_all_of_its_own():
    assert Front().hypervolume() == 0.0
    assert Front().improvement((0.25, 0.5)) == 0.375
    assert Front().improvement((1.5, 0.5)) == -0.5
