"""How the hours of an automatic run are divided; pure functions of images and paces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.errors import InvalidConfig
from raynas.programs.auto.plan import (
    END,
    LADDER,
    MAX_CHILD_EPOCHS,
    MAX_EPOCHS,
    MIN_CHILDREN,
    MIN_EPOCHS,
    PROMOTION_START,
    STARTS,
    TOPS,
    TRAINING_START,
    Images,
    Paces,
    Plan,
    least_seconds,
    plan_hours,
    promotion_plan,
    promotion_seconds,
    size_is_enough,
    training_epochs,
    training_plan,
    up,
)

IMAGES = Images(train=2000, validation=500, image_size=32, channels=3, classes=10)
PACES = Paces(search=300.0, threads=2, networks=(200.0, 80.0, 40.0), reference=30.0)


def spent(plan: Plan, images: Images, paces: Paces) -> float:
    """Seconds that the plan takes at exactly these paces, without starts."""
    search, promotion = plan.search, plan.promotion
    size = LADDER.index((plan.cells_per_stack, plan.filters))
    rates = [paces.networks[size]] * 3 + [paces.reference]
    return (
        search.children * search.epochs * images.work(search.train_images) / paces.search
        + promotion.top * promotion.epochs * images.work() / paces.networks[size]
        + plan.training.epochs * images.work() * sum(1 / rate for rate in rates)
    )


@given(
    seconds=st.floats(1, 1e7),
    train=st.integers(1, 10**7),
    validation=st.integers(1, 10**5),
    rates=st.lists(st.floats(0.01, 1e5), min_size=3, max_size=8),
)
def test_a_plan_fits_into_the_time_or_the_least_time_is_named(seconds, train, validation, rates):
    images = Images(train=train, validation=validation, image_size=32, channels=3, classes=10)
    search, reference, *networks = rates
    paces = Paces(search=search, threads=1, networks=tuple(networks), reference=reference)
    least = least_seconds(images, paces)
    if seconds < 0.98 * least:
        with pytest.raises(InvalidConfig, match="The least that would do is"):
            plan_hours(seconds, images, paces)
        return
    plan = plan_hours(max(seconds, least), images, paces)
    assert plan.seconds == pytest.approx(max(seconds, least))
    assert spent(plan, images, paces) <= plan.seconds - STARTS
    assert plan.search.children >= MIN_CHILDREN
    assert 1 <= plan.search.epochs <= MAX_CHILD_EPOCHS
    assert plan.search.train_images <= train
    assert MIN_EPOCHS <= plan.training.epochs <= MAX_EPOCHS


def test_the_least_hours_that_are_named_would_do():
    with pytest.raises(InvalidConfig) as error:
        plan_hours(60, IMAGES, PACES)
    hours = float(str(error.value).split("least that would do is ")[1].split(";")[0])
    assert plan_hours(hours * 3600, IMAGES, PACES).training.epochs == MIN_EPOCHS


@pytest.mark.parametrize(("hours", "rounded"), [(0.1234, 0.13), (1.0, 1.0), (0.0401, 0.041), (123.0, 130.0)])
def test_hours_are_rounded_up_to_two_digits(hours, rounded):
    assert up(hours) == pytest.approx(rounded)


def test_more_time_gives_larger_networks():
    sizes = [plan_hours(hours * 3600, IMAGES, PACES).filters for hours in (0.5, 3, 30)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


def test_larger_networks_are_measured_only_where_there_is_time_for_them():
    one = PACES.model_copy(update={"networks": (200.0,)})
    assert size_is_enough(1200, IMAGES, one)
    assert not size_is_enough(100_000, IMAGES, one)


def test_children_of_large_data_see_a_part_of_it():
    large = IMAGES.model_copy(update={"train": 200_000})
    slow = PACES.model_copy(update={"search": 60.0})
    assert plan_hours(50 * 3600, large, slow).search.train_images < 200_000


@pytest.mark.parametrize(
    ("seconds", "top", "epochs"), [(PROMOTION_START, None, None), (60, 2, 1), (200, 5, 3), (10_000, 5, 150)]
)
def test_fewer_cells_are_promoted_before_the_epochs_become_too_few(seconds, top, epochs):
    images = IMAGES.model_copy(update={"train": 1000, "validation": 300})
    plan = promotion_plan(seconds, 100.0, images)
    assert (plan and plan.top) == top
    if plan is not None and epochs is not None:
        assert plan.epochs == pytest.approx(epochs, abs=15 if epochs > 3 else 1)


def test_a_search_that_was_slow_gives_a_shorter_promotion():
    quick = promotion_plan(3000, 100.0, IMAGES)
    slow = promotion_plan(3000, 100.0, IMAGES, slowdown=3.0)
    assert quick and slow and quick.epochs > 2 * slow.epochs


def test_no_more_cells_are_promoted_than_there_are():
    plan = promotion_plan(1e5, 100.0, IMAGES, most=1)
    assert plan and plan.top == 1 < TOPS[0]


def test_no_time_left_still_gives_each_network_an_epoch():
    assert training_plan(-50, [10.0, 10.0], IMAGES).epochs == 1
    assert promotion_seconds(-50) == PROMOTION_START


def test_the_training_leaves_time_for_starts_and_the_end():
    rates = [100.0] * 4
    assert training_plan(END + 4 * TRAINING_START + 1000, rates, IMAGES).epochs == training_epochs(
        1000, rates, IMAGES
    )
