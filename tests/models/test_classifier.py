"""A trained network that takes pictures as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from raynas.errors import UsageError
from raynas.models.classifier import BATCH_SIZE, Classifier, _load_pyfunc
from raynas.models.folder import LoadedModel, ModelInfo, save_model
from raynas.nn import Network, NetworkConfig
from tests.nn.small_networks import TINY


def classifier(num_channels: int = 3, crop_fraction: float = 1.0) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Network(
            TINY,
            NetworkConfig(cells_per_stack=1, filters=4),
            in_channels=num_channels,
            num_classes=5,
            image_size=8,
        )
    info = ModelInfo.of(
        network,
        mean=(0.5, 0.25, 0.125)[:num_channels],
        std=(0.5, 0.25, 0.125)[:num_channels],
        crop_fraction=crop_fraction,
    )
    return Classifier(LoadedModel(network, info))


def pixels(num_images: int, height: int = 8, width: int = 8, num_channels: int = 3) -> np.ndarray:
    shape = (num_images, height, width, num_channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@torch.no_grad()
def expected(given: Classifier, images_NCHW: torch.Tensor) -> np.ndarray:
    probabilities_NK: np.ndarray = given._network(images_NCHW).softmax(1).numpy()
    return probabilities_NK


def test_images_of_the_networks_own_size_are_only_scaled():
    given, images_NHWC = classifier(), pixels(3)
    mean_C = std_C = np.array([0.5, 0.25, 0.125], np.float32)
    scaled_NHWC = (images_NHWC / np.float32(255) - mean_C) / std_C
    images_NCHW = torch.from_numpy(scaled_NHWC.astype(np.float32)).permute(0, 3, 1, 2)
    np.testing.assert_allclose(given.predict(images_NHWC), expected(given, images_NCHW), atol=1e-6)


def test_others_are_resized_and_cut_as_the_network_was_evaluated():
    given, images_NHWC = classifier(crop_fraction=0.5), pixels(2, 20, 31)
    resized = [Image.fromarray(image).resize((24, 16), Image.Resampling.BILINEAR) for image in images_NHWC]
    cut_NHWC = np.stack([np.asarray(picture.crop((8, 4, 16, 12))) for picture in resized])
    np.testing.assert_allclose(given.predict(images_NHWC), given.predict(cut_whole(cut_NHWC)), atol=1e-6)


def cut_whole(cut_NHWC: np.ndarray) -> np.ndarray:
    """A picture of twice the size whose middle half is this: no pixel of it is computed anew."""
    return np.pad(cut_NHWC, ((0, 0), (4, 4), (4, 4), (0, 0)))


def test_more_images_than_go_through_together_keep_their_order():
    given, images_NHWC = classifier(), pixels(BATCH_SIZE + 3)
    one_by_one = np.concatenate([given.predict(image[None]) for image in images_NHWC])
    np.testing.assert_allclose(given.predict(images_NHWC), one_by_one, atol=1e-6)
    assert given.predict(images_NHWC[:0]).shape == (0, 5)


def test_grey_and_colour_are_converted_to_what_the_network_knows():
    grey_NHWC = pixels(2, num_channels=1)
    as_colour_NHWC = np.repeat(grey_NHWC, 3, axis=3)
    for num_channels in (1, 3):
        given = classifier(num_channels)
        np.testing.assert_array_equal(given.predict(grey_NHWC), given.predict(as_colour_NHWC))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), r"float32 of shape \[2, 8, 8, 3\]"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"uint8 of shape \[2, 3, 8, 8\]"),
        (np.zeros((8, 8, 3), np.uint8), r"shape \[8, 8, 3\]"),
        (np.zeros((2, 0, 8, 3), np.uint8), r"shape \[2, 0, 8, 3\]"),
    ],
)
def test_what_are_no_pictures_is_named(images, message):
    with pytest.raises(UsageError, match=message):
        classifier().predict(images)


def test_mlflows_entrance_reads_a_model_folder(tmp_path):
    given = classifier()
    save_model(tmp_path, given._network, given.info)
    loaded = _load_pyfunc(str(tmp_path))
    assert loaded.info == given.info
    np.testing.assert_array_equal(loaded.predict(pixels(2)), given.predict(pixels(2)))
