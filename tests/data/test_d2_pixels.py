"""D2 and D3: one picture has the same pixels in memory, streamed, in `Preprocessing` and in a card's code."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from raynas.data.decode import EncodedImage, decode_images
from raynas.data.stream import EvalTransform
from raynas.errors import DataError
from raynas.models.card import PREPARE
from raynas.models.classifier import Classifier
from raynas.models.folder import LoadedModel, ModelInfo
from raynas.models.preprocess import Preprocessing
from raynas.nn import Network, NetworkConfig
from tests.nn.small_networks import TINY

SIZES = [(32, 32), (47, 32), (33, 32), (32, 33), (100, 33), (640, 427), (20, 9), (8, 8)]
GREY = {"1", "L", "LA", "I", "I;16", "I;16B"}
SIZE = 32


def noise(size: tuple[int, int]) -> Image.Image:
    values_HWC = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    return Image.fromarray(values_HWC)


def ramp(size: tuple[int, int], kind: str) -> np.ndarray:
    """Values 0..65535, from left to right and from top to bottom."""
    return np.linspace(0, 0xFFFF, size[0] * size[1]).reshape(size[1], size[0]).astype(kind)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


WRITERS = {
    "1": lambda size: encoded(noise(size).convert("1"), "PNG"),
    "L": lambda size: encoded(noise(size).convert("L"), "PNG"),
    "LA": lambda size: encoded(noise(size).convert("LA"), "PNG"),
    "P": lambda size: encoded(noise(size).convert("RGB").quantize(16), "PNG"),
    "P with transparency": lambda size: encoded(
        noise(size).convert("RGB").quantize(16), "PNG", transparency=bytes(range(0, 255, 16))
    ),
    "PA": lambda size: encoded(noise(size).convert("RGB").quantize(16).convert("PA"), "TIFF"),
    "RGB": lambda size: encoded(noise(size).convert("RGB"), "PNG"),
    "RGBA": lambda size: encoded(noise(size), "PNG"),
    "CMYK": lambda size: encoded(noise(size).convert("CMYK"), "JPEG"),
    "YCbCr": lambda size: encoded(noise(size).convert("RGB"), "JPEG"),
    "EXIF orientation": lambda size: encoded(noise(size).convert("RGB"), "JPEG", exif=turned()),
    "I;16": lambda size: encoded(Image.fromarray(ramp(size, "<u2")), "PNG"),
    "I;16B": lambda size: encoded(Image.fromarray(ramp(size, ">u2")), "TIFF"),
    "I": lambda size: encoded(Image.fromarray(ramp(size, "<i4")), "TIFF"),
}


def by_card(content: bytes, prepare: Preprocessing, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What the code of a model card makes of the picture: [1, C, H, W]."""
    code = PREPARE.format(
        size=prepare.image_size,
        mean=list(prepare.mean),
        std=list(prepare.std),
        mode="L" if len(prepare.mean) == 1 else "RGB",
        shorter=prepare.shorter_side,
        interpolation=prepare.interpolation.upper(),
        channels=len(prepare.mean),
    )
    opened = Image.open(io.BytesIO(content))
    monkeypatch.setattr(Image, "open", lambda name: opened)
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        # A palette with transparency: Pillow says that RGBA would keep it.
        warnings.filterwarnings("ignore", message="Palette images with Transparency")
        exec(code, names)
    monkeypatch.undo()
    images: np.ndarray = names["images"]
    return images


def as_bytes(image_CHW: torch.Tensor) -> np.ndarray:
    return (image_CHW.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


def plain(num_channels: int, **options: Any) -> Preprocessing:
    return Preprocessing(SIZE, mean=(0.0,) * num_channels, std=(1.0,) * num_channels, **options)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("mode", WRITERS)
def test_d2_d3_every_way_to_the_pixels_gives_the_same_bytes(mode, size, monkeypatch):
    content = WRITERS[mode](size)
    encoded_image = EncodedImage(Path("a"), 0, content)
    num_channels = 1 if mode in GREY else 3
    with Image.open(io.BytesIO(content)) as picture:
        in_memory_HWC = decode_images([encoded_image], image_size=SIZE).images_NHWC[0]
        prepare = plain(num_channels, crop_fraction=1.0, interpolation="bilinear")
        np.testing.assert_array_equal(in_memory_HWC, as_bytes(prepare(picture)))
        for fraction in (1.0, 0.875):
            streamed_HWC = EvalTransform(SIZE, fraction)(encoded_image, np.random.default_rng(0))
            np.testing.assert_array_equal(streamed_HWC, as_bytes(plain(3, crop_fraction=fraction)(picture)))
        # With the mean and deviation of a data set, and to the last bit.
        scaled = Preprocessing(SIZE, 0.875, (0.49, 0.3, 0.1)[:num_channels], (0.24, 0.3, 0.7)[:num_channels])
        np.testing.assert_array_equal(by_card(content, scaled, monkeypatch)[0], scaled(picture).numpy())


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_d3_the_classifier_sees_the_pixels_of_training(mode, size):
    num_channels = 1 if mode == "L" else 3
    network = Network(
        TINY,
        NetworkConfig(cells_per_stack=1, filters=4),
        in_channels=num_channels,
        num_classes=5,
        image_size=SIZE,
    )
    info = ModelInfo.of(network, mean=(0.0,) * num_channels, std=(1.0,) * num_channels)
    seen: list[torch.Tensor] = []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    content = WRITERS[mode](size)
    pixels_HWC = np.asarray(Image.open(io.BytesIO(content))).reshape(size[1], size[0], num_channels)
    Classifier(LoadedModel(network, info)).predict(pixels_HWC[None])
    in_memory_NHWC = decode_images([EncodedImage(Path("a"), 0, content)], image_size=SIZE).images_NHWC
    np.testing.assert_array_equal(as_bytes(seen[0][0]), in_memory_NHWC[0])


@pytest.mark.parametrize("kind", ["<u2", ">u2", "<i4"])
def test_d2_sixteen_bit_grey_keeps_its_range(kind):
    picture = Image.fromarray(ramp((64, 64), kind))
    image_CHW = Preprocessing(64, 1.0, mean=(0.0,), std=(1.0,))(picture)
    assert 127 < image_CHW.mean() * 255 < 128


@pytest.mark.parametrize("values", [np.float32(0.5), np.int32(70_000), np.int32(-1)])
def test_d2_values_of_unknown_range_are_refused_by_every_way(values, monkeypatch):
    picture = Image.fromarray(np.full((40, 40), values))
    image = EncodedImage(Path("a"), 0, encoded(picture, "TIFF"))
    with pytest.raises(DataError, match="its pixels are"):
        decode_images([image], image_size=SIZE)
    with pytest.raises(DataError, match="its pixels are"):
        EvalTransform(SIZE)(image, np.random.default_rng(0))
    with pytest.raises(DataError, match="its pixels are"):
        plain(3)(picture)
    with pytest.raises(AssertionError, match="range"):
        by_card(image.content or b"", plain(3), monkeypatch)


def test_d3_square_pictures_of_the_right_size_are_not_touched():
    picture = noise((SIZE, SIZE)).convert("RGB")
    image = EncodedImage(Path("a"), 0, encoded(picture, "PNG"))
    np.testing.assert_array_equal(decode_images([image], image_size=SIZE).images_NHWC[0], np.asarray(picture))


def test_d3_a_picture_too_long_and_thin_to_be_resized_is_refused_by_every_way():
    picture = Image.new("L", (40_000, 4))
    image = EncodedImage(Path("a"), 0, encoded(picture, "PNG"))
    with pytest.raises(DataError, match=r"row 0 .*40000x4.*long and thin"):
        decode_images([image], image_size=224)
    with pytest.raises(DataError, match=r"row 0 .*40000x4.*long and thin"):
        EvalTransform(224)(image, np.random.default_rng(0))
    with pytest.raises(DataError, match=r"40000x4.*long and thin"):
        Preprocessing(224)(picture)
