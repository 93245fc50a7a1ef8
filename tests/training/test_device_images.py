"""Batches of a split that lies on a device."""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

import warnings

import pytest
import torch

from raynas.training.config import AugmentationConfig
from raynas.training.images import DeviceImages
from tests.training.tiny_children import made_up_split

PLAIN = AugmentationConfig(crop_padding=0, flip=False)
FULL = AugmentationConfig(crop_padding=2, cutout=3)


@pytest.fixture(scope="module")
def images() -> DeviceImages:
    return DeviceImages(made_up_split())


def batches(images, batch_size, augmentation=PLAIN, *, seed=0, **ranks):
    generator = torch.Generator().manual_seed(seed)
    return list(images.train_batches(batch_size, augmentation, generator, **ranks))


def test_arrays_are_shared_and_not_copied(images):
    assert images.train_images_NHWC.data_ptr() == images.split.train_images_NHWC.ctypes.data


def test_read_only_arrays_are_taken_without_a_warning():
    split = made_up_split()
    assert not split.train_images_NHWC.flags.writeable
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            DeviceImages(split)
    finally:
        torch.set_warn_always(before)


def test_pixels_are_normalised_per_channel(images):
    ((images_NCHW, _),) = images.validation_batches(100)
    split = images.split
    for channel in range(3):
        expected = split.validation_images_NHWC[..., channel] / 255 - split.mean_C[channel]
        actual = images_NCHW[:, channel].numpy() * split.std_C[channel]
        assert actual == pytest.approx(expected, abs=1e-5)


def test_batches_are_channels_last(images):
    (images_NCHW, _), *_ = batches(images, 8, FULL)
    assert images_NCHW.shape == (8, 3, 8, 8)
    assert images_NCHW.is_contiguous(memory_format=torch.channels_last)


def test_epoch_shows_each_image_at_most_once_and_drops_the_incomplete_batch(images):
    labelled = batches(images, 10)
    assert [len(labels_N) for _, labels_N in labelled] == [10, 10]
    assert len(torch.cat([x for x, _ in labelled]).flatten(1).unique(dim=0)) == 20


def test_images_keep_their_labels(images):
    all_NHWC = images._normalised(images.train_images_NHWC)
    for images_NCHW, labels_N in batches(images, 8):
        for image_CHW, label in zip(images_NCHW, labels_N, strict=True):
            row = (all_NHWC == image_CHW.permute(1, 2, 0)).flatten(1).all(dim=1).nonzero().item()
            assert images.train_labels_N[row] == label


def test_batch_size_above_the_number_of_images_is_one_step(images):
    assert images.num_steps(1000) == 1
    ((images_NCHW, _),) = batches(images, 1000)
    assert len(images_NCHW) == 24


@pytest.mark.parametrize("num_ranks", [2, 3])
def test_ranks_share_each_augmented_batch(images, num_ranks):
    whole = batches(images, 9, FULL)
    shares = [batches(images, 9, FULL, rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
    for step, (images_NCHW, labels_N) in enumerate(whole):
        for rank, share in enumerate(shares):
            assert torch.equal(share[step][0], images_NCHW[rank::num_ranks])
            assert torch.equal(share[step][1], labels_N[rank::num_ranks])


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 12])
def test_ranks_share_the_whole_validation_set(images, num_ranks):
    sizes = [
        len(labels_N)
        for rank in range(num_ranks)
        for _, labels_N in images.validation_batches(4, rank=rank, num_ranks=num_ranks)
    ]
    assert sum(sizes) == 10
    assert max(sizes) <= 4


def test_default_padding_is_an_eighth_of_the_size(images):
    by_default = batches(images, 8, AugmentationConfig(flip=False))
    by_hand = batches(images, 8, AugmentationConfig(flip=False, crop_padding=1))
    assert torch.equal(by_default[0][0], by_hand[0][0])


def test_epochs_differ_and_seeds_repeat(images):
    generator = torch.Generator().manual_seed(0)
    first = list(images.train_batches(8, FULL, generator))
    second = list(images.train_batches(8, FULL, generator))
    again = batches(images, 8, FULL)
    assert not torch.equal(first[0][0], second[0][0])
    assert torch.equal(first[0][0], again[0][0])


def test_validation_images_are_never_augmented(images):
    once, again = (next(iter(images.validation_batches(10)))[0] for _ in range(2))
    assert torch.equal(once, again)
