"""The digits, which are the default data source."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from raynas.data import DataConfig, load_split
from raynas.errors import DataError


def test_digits_are_the_default():
    split = load_split(DataConfig(), seed=0)
    assert (split.name, split.num_classes, split.image_size, split.num_channels) == ("digits", 10, 8, 1)
    assert (len(split.train_labels_N), len(split.validation_labels_N)) == (1618, 179)


def test_digits_keep_their_values_and_labels():
    split = load_split(DataConfig(), seed=0)
    digits = load_digits()
    first_row = np.random.default_rng(0).permutation(1797)[0]
    image_HW = split.validation_images_NHWC[0, ..., 0]
    np.testing.assert_allclose(image_HW / 255 * 16, digits.images[first_row], atol=0.04)
    assert split.validation_labels_N[0] == digits.target[first_row]
    assert split.train_images_NHWC.max() == 255


def test_digits_are_resized_when_asked():
    split = load_split(DataConfig(image_size=16, train_images=20), seed=0)
    assert split.train_images_NHWC.shape == (20, 16, 16, 1)


@pytest.mark.parametrize("source", ["digit", "Digits", "digitss"])
def test_misspelt_digits_are_recognised(source):
    with pytest.raises(DataError, match="Did you mean 'digits'"):
        load_split(DataConfig(source=source), seed=0)
