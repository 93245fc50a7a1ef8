"""Laws of the order of an epoch, for any sizes of pieces and batches and any number of ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raynas.data.stream.images import Piece
from raynas.data.stream.order import EpochPlan, Numbers, Shuffle, deal, num_batches, plan_epoch
from raynas.errors import DataError


@dataclass
class Pieces:
    """An ImageSet of pieces of these sizes, without images."""

    sizes: list[int]
    num_classes: int = 1
    class_names: tuple[str, ...] | None = None

    @property
    def num_images(self) -> int:
        return sum(self.sizes)

    def pieces(self, rng: np.random.Generator | None) -> list[Numbers]:
        pieces = np.split(np.arange(self.num_images), np.cumsum(self.sizes)[:-1])
        return pieces if rng is None else [pieces[place] for place in rng.permutation(len(pieces))]

    def piece(self, numbers_N: Numbers) -> Piece:
        raise AssertionError("the order of an epoch needs no images")


@st.composite
def epochs(draw: st.DrawFn) -> tuple[Pieces, dict[str, int]]:
    """Images, and a batch size and number of ranks with which every rank has a batch."""
    images = Pieces(draw(st.lists(st.integers(1, 30), min_size=1, max_size=12)))
    num_ranks = draw(st.integers(1, min(5, images.num_images)))
    batch_size = draw(st.integers(1, images.num_images // num_ranks))
    return images, {"batch_size": batch_size, "num_ranks": num_ranks}


SHUFFLE = Shuffle(seed=3, window=20)


def taken(plan: EpochPlan) -> list[list[int]]:
    """Image numbers of each batch."""
    numbers = np.concatenate(plan.units) if plan.units else np.empty(0, dtype=int)
    return [numbers[places_N].tolist() for places_N in plan.batches]


def flat(batches: list[list[int]]) -> list[int]:
    return [number for batch in batches for number in batch]


@given(epoch=epochs())
def test_validation_gives_every_image_once_over_all_ranks(epoch):
    images, sizes = epoch
    plans = [
        plan_epoch(images, shuffle=None, epoch=0, rank=rank, **sizes) for rank in range(sizes["num_ranks"])
    ]
    assert sorted(number for plan in plans for number in flat(taken(plan))) == list(range(images.num_images))
    count = num_batches(images.num_images, drop_last=False, **sizes)
    assert {len(plan.batches) for plan in plans} == {count}
    # Batches of one image can't be made nearly equal, so a rank with one image less has an empty batch.
    least = 0 if sizes["batch_size"] == 1 else 1
    assert all(least <= len(batch) <= sizes["batch_size"] for plan in plans for batch in taken(plan))


@given(epoch=epochs())
def test_training_gives_no_image_twice_and_leaves_out_less_than_a_batch_per_rank(epoch):
    images, sizes = epoch
    num_ranks, batch_size = sizes["num_ranks"], sizes["batch_size"]
    plans = [plan_epoch(images, shuffle=SHUFFLE, epoch=1, rank=rank, **sizes) for rank in range(num_ranks)]
    numbers = [number for plan in plans for number in flat(taken(plan))]
    assert len(numbers) == len(set(numbers)) > images.num_images - num_ranks * (batch_size + 1)
    count = num_batches(images.num_images, drop_last=True, **sizes)
    assert [len(batch) for plan in plans for batch in taken(plan)] == [batch_size] * (count * num_ranks)


@given(epoch=epochs(), data=st.data())
def test_an_epoch_goes_on_from_any_position_as_if_not_interrupted(epoch, data):
    images, sizes = epoch
    options = {"shuffle": SHUFFLE, "epoch": 2, "rank": data.draw(st.integers(0, sizes["num_ranks"] - 1))}
    whole = plan_epoch(images, **options, **sizes)
    done = data.draw(st.integers(1, len(whole.batches)))
    rest = plan_epoch(images, **options, **sizes, start=whole.positions[done - 1])
    assert taken(rest) == taken(whole)[done:]
    assert rest.positions == whole.positions[done:]


@given(epoch=epochs(), data=st.data())
def test_only_what_batches_need_is_decoded(epoch, data):
    images, sizes = epoch
    start = data.draw(st.integers(0, images.num_images))
    plan = plan_epoch(images, shuffle=SHUFFLE, epoch=0, start=start, **sizes)
    assert sorted(flat(taken(plan))) == sorted(np.concatenate([*plan.units, np.empty(0)]).tolist())


@given(sizes=st.lists(st.integers(1, 30), max_size=12), num_ranks=st.integers(1, 40))
def test_shares_are_equal_but_for_one_image(sizes, num_ranks):
    shares = deal([np.arange(size) for size in sizes], num_ranks)
    counts = [sum(len(piece) for piece in share) for share in shares]
    assert sum(counts) == sum(sizes)
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(("before", "after"), [(4, 2), (2, 4), (1, 3)])
def test_on_another_number_of_ranks_only_pieces_in_flight_are_repeated_or_skipped(before, after):
    images, piece, window = Pieces([10] * 200), 10, 50
    shuffle = Shuffle(seed=0, window=window)

    def numbers(num_ranks: int, start: int = 0, stop: int | None = None) -> set[int]:
        found = set()
        for rank in range(num_ranks):
            options = {"batch_size": 8 // num_ranks, "rank": rank, "num_ranks": num_ranks, "start": start}
            plan = plan_epoch(images, shuffle=shuffle, epoch=0, **options)
            found |= set(flat(taken(plan)[: stop and (stop - start) // 8]))
        return found

    first, rest = numbers(before, stop=1000), numbers(after, start=1000)
    in_flight = (before + after) * (window + piece)
    assert len(first & rest) <= in_flight
    assert 2000 - len(first | rest) <= in_flight


def test_epochs_and_seeds_have_orders_of_their_own():
    images = Pieces([10] * 20)
    plans = [
        plan_epoch(images, shuffle=Shuffle(seed, 50), epoch=epoch, batch_size=10)
        for seed, epoch in [(0, 0), (0, 1), (1, 0), (0, 0)]
    ]
    first, *others, again = [taken(plan) for plan in plans]
    assert again == first
    assert first not in others


def test_a_batch_mixes_many_pieces():
    plan = plan_epoch(Pieces([100] * 100), shuffle=Shuffle(0, window=1000), epoch=0, batch_size=64)
    pieces = [len({number // 100 for number in batch}) for batch in taken(plan)[20:-20]]
    assert min(pieces) >= 7


def test_units_are_needed_in_their_order_and_few_images_wait():
    plan = plan_epoch(Pieces([10] * 200), shuffle=Shuffle(0, window=100), epoch=0, batch_size=10)
    given_out, received = 0, 0
    waiting = []
    for places_N in plan.batches:
        received = max(received, int(places_N.max()) // 10 * 10 + 10)
        given_out += len(places_N)
        waiting.append(received - given_out)
    assert max(waiting) <= 100 + 10
    assert np.mean(waiting) <= 100


def test_too_few_images_for_one_batch_are_refused():
    with pytest.raises(DataError, match="5 training images on 2 ranks don't make one batch of 3"):
        plan_epoch(Pieces([5]), shuffle=SHUFFLE, epoch=0, batch_size=3, num_ranks=2)
