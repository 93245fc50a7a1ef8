"""What a decoding process does with a picture: decodes, scales and mirrors it, and its boxes with it."""

# Shapes: H x W pixels, C channels, N boxes of a picture.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raynas.detection.data.boxes import MIN_SIDE
from raynas.detection.data.coco_json import Id
from raynas.detection.data.pictures import Mode, Picture, Size, decode_picture


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is done to a training picture at random.

    Args:
        flip: mirror it horizontally with probability one half.
        shorter_sides: one of these is drawn, and the picture is scaled so that its shorter side has as many
            pixels. Empty to leave its size to the detector.
        longest_side: the longer side gets no longer than this, in pixels, when a picture is scaled.
    Source: torchvision's references/detection, whose detectors draw the size themselves.
    """

    flip: bool = True
    shorter_sides: tuple[int, ...] = ()
    longest_side: int | None = None

    def scaled(self, size: Size, rng: np.random.Generator) -> Size:
        """The size that a picture gets; draws even where nothing is scaled."""
        draw = rng.random()
        if not self.shorter_sides:
            return size
        factor = self.shorter_sides[int(draw * len(self.shorter_sides))] / min(size)
        if self.longest_side is not None:
            factor = min(factor, self.longest_side / max(size))
        return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


UNCHANGED = Augmentation(flip=False)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A picture that is to be decoded, with its boxes; it is sent to another process.

    Args:
        own: id of the picture, for messages.
        declared: size that its annotations tell.
        seed: of its augmentation.
    """

    picture: Picture
    own: Id
    declared: Size
    boxes_N4: NDArray[np.float32]
    labels_N: NDArray[np.int32]
    seed: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DecodedExample:
    """Pixels and boxes of a picture; boxes in pixels of the picture as it is here."""

    pixels_HWC: NDArray[np.uint8]
    boxes_N4: NDArray[np.float32]
    labels_N: NDArray[np.int32]


def decode_example(example: Example, augmentation: Augmentation, mode: Mode = "RGB") -> DecodedExample:
    """Decodes a picture in colour or grey. The result depends on nothing but the arguments.

    Raises:
        DataError: the picture can't be read or decoded, or differs from what its annotations say.
    """
    rng = np.random.default_rng(example.seed)
    picture, size = decode_picture(
        example.picture,
        example.own,
        declared=example.declared,
        mode=mode,
        scaled=lambda size: augmentation.scaled(size, rng),
    )
    boxes_N4, labels_N = _inside(example.boxes_N4, example.labels_N, size)
    boxes_N4 = boxes_N4 * np.tile(np.array(picture.size) / size, 2).astype(np.float32)
    if augmentation.flip and rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        boxes_N4[:, [0, 2]] = picture.width - boxes_N4[:, [2, 0]]
    # Copied, because Pillow's own memory is read-only, of which torch warns.
    pixels = np.array(picture)
    return DecodedExample(pixels[..., None] if mode == "L" else pixels, boxes_N4, labels_N)


def _inside(
    boxes_N4: NDArray[np.float32], labels_N: NDArray[np.int32], size: Size
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The boxes clipped to the picture, for pictures whose size was not known before."""
    clipped_N4 = np.clip(boxes_N4, 0, np.tile(size, 2).astype(np.float32))
    keep_N = (clipped_N4[:, 2:] - clipped_N4[:, :2] >= MIN_SIDE).all(axis=1)
    return clipped_N4[keep_N], labels_N[keep_N]
