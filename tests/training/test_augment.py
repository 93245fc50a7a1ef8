"""Augmentation of a batch: by hand, and image by image."""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from raynas.training.augment import cutout, random_crop, random_flip

seeds = st.integers(0, 2**31)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def counting(num_images: int, height: int = 4, width: int = 4, channels: int = 2) -> torch.Tensor:
    """Images alike, all of whose pixels differ and none is 0."""
    image_HWC = torch.arange(1.0, height * width * channels + 1).reshape(height, width, channels)
    return image_HWC.repeat(num_images, 1, 1, 1)


def offsets_of(images_NHWC: torch.Tensor, cropped_NHWC: torch.Tensor, padding: int) -> list[tuple[int, int]]:
    """Row and column where each image was cut; fails unless there is exactly one such place."""
    _, height, width, _ = images_NHWC.shape
    padded_NHWC = F.pad(images_NHWC, (0, 0, padding, padding, padding, padding))
    places = [(row, column) for row in range(2 * padding + 1) for column in range(2 * padding + 1)]
    found = []
    for padded_HWC, cropped_HWC in zip(padded_NHWC, cropped_NHWC, strict=True):
        fits = [
            (row, column)
            for row, column in places
            if torch.equal(padded_HWC[row : row + height, column : column + width], cropped_HWC)
        ]
        assert len(fits) == 1
        found += fits
    return found


def test_crop_of_a_2x2_image_by_hand():
    cropped_NHWC = random_crop(counting(64, 2, 2, 1), 1, generator())
    all_nine = {
        (0, 0, 0, 1), (0, 0, 1, 2), (0, 0, 2, 0),
        (0, 1, 0, 3), (1, 2, 3, 4), (2, 0, 4, 0),
        (0, 3, 0, 0), (3, 4, 0, 0), (4, 0, 0, 0),
    }  # fmt: skip
    assert {tuple(image.flatten().int().tolist()) for image in cropped_NHWC} == all_nine


@given(seed=seeds, padding=st.integers(1, 3), height=st.integers(1, 5), width=st.integers(1, 5))
def test_crop_keeps_the_shape_and_cuts_one_window(seed, padding, height, width):
    images_NHWC = counting(3, height, width)
    cropped_NHWC = random_crop(images_NHWC, padding, generator(seed))
    assert cropped_NHWC.shape == images_NHWC.shape
    rows, columns = height + 2 * padding, width + 2 * padding
    padded_NHWC = F.pad(images_NHWC, (0, 0, padding, padding, padding, padding))
    windows = padded_NHWC.unfold(1, height, 1).unfold(2, width, 1)
    assert windows.shape[1:3] == (rows - height + 1, columns - width + 1)
    for number, cropped_HWC in enumerate(cropped_NHWC):
        is_same = windows[number] == cropped_HWC.permute(2, 0, 1)
        assert is_same.flatten(2).all(dim=2).any()


def test_every_place_is_cut_and_images_differ():
    images_NHWC = counting(400)
    found = offsets_of(images_NHWC, random_crop(images_NHWC, 2, generator()), 2)
    assert len(set(found)) == 25


@given(seed=seeds)
def test_flip_mirrors_some_images_left_to_right_and_leaves_the_rest(seed):
    images_NHWC = counting(40)
    flipped_NHWC = random_flip(images_NHWC, generator(seed))
    is_same = [torch.equal(new, old) for new, old in zip(flipped_NHWC, images_NHWC, strict=True)]
    is_mirrored = [torch.equal(new, old.flip(1)) for new, old in zip(flipped_NHWC, images_NHWC, strict=True)]
    assert all(same != mirrored for same, mirrored in zip(is_same, is_mirrored, strict=True))
    assert 0 < sum(is_mirrored) < 40


@given(seed=seeds)
def test_flipping_twice_alike_gives_the_images_back(seed):
    images_NHWC = counting(8)
    assert torch.equal(random_flip(random_flip(images_NHWC, generator(seed)), generator(seed)), images_NHWC)


@given(seed=seeds, size=st.integers(1, 9), height=st.integers(1, 6), width=st.integers(1, 6))
def test_cutout_blanks_a_square_that_may_hang_over_the_border(seed, size, height, width):
    images_NHWC = counting(4, height, width)
    cut_NHWC = cutout(images_NHWC, size, generator(seed))
    is_blank_NHW = (cut_NHWC == 0).all(dim=3)
    assert torch.equal(cut_NHWC[~is_blank_NHW], images_NHWC[~is_blank_NHW])
    for is_blank_HW in is_blank_NHW:
        rows, columns = is_blank_HW.any(dim=1), is_blank_HW.any(dim=0)
        assert torch.equal(is_blank_HW, rows[:, None] & columns[None, :])
        for line, side in ((rows, height), (columns, width)):
            assert_one_run(line, size, side)


def assert_one_run(line: torch.Tensor, size: int, side: int) -> None:
    """One unbroken run of at least half the square, shorter than the square at a border alone."""
    where = line.nonzero().flatten()
    length = len(where)
    assert length == where[-1] - where[0] + 1
    assert min((size + 1) // 2, side) <= length <= min(size, side)
    assert length == size or where[0] == 0 or where[-1] == side - 1


def test_cutout_differs_between_images():
    cut_NHWC = cutout(counting(50), 2, generator())
    assert len({tuple(image.flatten().tolist()) for image in cut_NHWC}) > 10


def test_cutout_leaves_its_argument_alone():
    images_NHWC = counting(2)
    cutout(images_NHWC, 3, generator())
    assert torch.equal(images_NHWC, counting(2))
