"""The pictures of a data set: numbered, read a few at a time, decoded upright."""

# Shapes: P pictures of a data set, M of some of them, H x W pixels, C channels.

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from raynas.data.decode import EncodedImage, opened_image
from raynas.data.pixels import MAX_PIXELS, converted, upright, upright_size
from raynas.data.stream.images import PIECE_IMAGES
from raynas.data.stream.location import LOCAL, filesystem_of, reason_of
from raynas.detection.data.coco_json import Id
from raynas.errors import DataError

Numbers = NDArray[np.int64]
Mode = Literal["RGB", "L"]
Size = tuple[int, int]
"""Width and height in pixels."""
UNKNOWN_SIZE: Size = (0, 0)


class Picture(Protocol):
    """One picture that is still to be read or decoded. It pickles, because another process decodes it."""

    def read(self) -> EncodedImage:
        """The picture's bytes, or the local file that holds them.

        Raises:
            DataError: it can't be read.
        """


class PictureSet(Protocol):
    """The pictures of a split, numbered from 0."""

    @property
    def num_pictures(self) -> int:
        """Number of pictures."""

    def pieces(self, rng: np.random.Generator | None) -> list[Numbers]:
        """All numbers, in pieces that are cheap to read together, in random order or in that of the files."""

    def fetch(self, numbers_M: Numbers) -> list[Picture]:
        """These pictures, which all belong to one piece; reads what has to be read together.

        Raises:
            DataError: a file can't be read.
        """


@dataclass(frozen=True, slots=True)
class FilePicture:
    """A file of its own; `uri` as in Location."""

    uri: str
    path: str

    def read(self) -> EncodedImage:
        """See Picture."""
        if self.uri == LOCAL:
            return EncodedImage(Path(self.path))
        try:
            with filesystem_of(self.uri).open_input_file(self.path) as stream:
                return EncodedImage(Path(self.path), content=stream.read())
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path} can't be read: {reason_of(error)}. Restore it.") from error


@dataclass(frozen=True, slots=True, eq=False)
class FilePictures:
    """A PictureSet of files. As files can be read in any order, a shuffled piece consists of random ones."""

    uri: str
    paths: tuple[str, ...]

    @property
    def num_pictures(self) -> int:
        """See PictureSet."""
        return len(self.paths)

    def pieces(self, rng: np.random.Generator | None) -> list[Numbers]:
        """See PictureSet."""
        numbers_P = np.arange(self.num_pictures) if rng is None else rng.permutation(self.num_pictures)
        return np.split(numbers_P, range(PIECE_IMAGES, self.num_pictures, PIECE_IMAGES))

    def fetch(self, numbers_M: Numbers) -> list[Picture]:
        """See PictureSet."""
        return [FilePicture(self.uri, self.paths[number]) for number in numbers_M]


def read_size(picture: Picture, own: Id, *, declared: Size = UNKNOWN_SIZE) -> Size:
    """Width and height of a picture as it is to be seen, from its header.

    Args:
        own: id of the picture, for messages.
        declared: size that its annotations tell.
    Raises:
        DataError: see decode_picture.
    """
    with _opened(picture, own, declared) as (_, size, _):
        return size


def read_bytes(picture: Picture, own: Id, *, declared: Size = UNKNOWN_SIZE) -> bytes:
    """The encoded picture, of which only the header is checked; raises what read_size does."""
    with _opened(picture, own, declared) as (_, _, encoded):
        return encoded.file.read_bytes() if encoded.content is None else encoded.content


def decode_picture(
    picture: Picture,
    own: Id,
    *,
    declared: Size = UNKNOWN_SIZE,
    mode: Mode = "RGB",
    scaled: Callable[[Size], Size] = lambda size: size,
) -> tuple[Image.Image, Size]:
    """The picture, upright and in colour or grey, and its size before it was scaled.

    Args:
        own: id of the picture, for messages.
        declared: size that its annotations tell.
        scaled: the size that a picture of some size gets.
    Raises:
        DataError: it can't be read or decoded, is too large, or differs from what is declared.
    """
    with _opened(picture, own, declared) as (image, size, _):
        wanted = scaled(size)
        if wanted != size:
            # A JPEG file decodes faster at 1/2, 1/4 or 1/8 of its size.
            is_turned = size != image.size
            image.draft(mode, wanted[::-1] if is_turned else wanted)
        result = converted(upright(image), mode)
        if result.size != wanted:
            result = result.resize(wanted, Image.Resampling.BILINEAR)
        result.load()
    return result, size


@contextmanager
def _opened(picture: Picture, own: Id, declared: Size) -> Iterator[tuple[Image.Image, Size, EncodedImage]]:
    """The picture with its size as it is to be seen; errors from here and from the with block tell its id."""
    try:
        encoded = picture.read()
        with opened_image(encoded) as image:
            yield image, _checked_size(image, encoded, own, declared), encoded
    except DataError as error:
        if str(error).startswith("Picture "):
            raise
        raise DataError(f"Picture {own!r}: {error}") from error


def _checked_size(image: Image.Image, encoded: EncodedImage, own: Id, declared: Size) -> Size:
    if image.width * image.height > MAX_PIXELS:
        raise DataError(
            f"Picture {own!r} in {encoded.where} has {image.width}x{image.height} pixels; at most "
            f"{MAX_PIXELS:,} are allowed. Scale it down, with its boxes, or remove it."
        )
    size = upright_size(image)
    if declared in (UNKNOWN_SIZE, size):
        return size
    problem = (
        f"Picture {own!r} in {encoded.where} has {size[0]}x{size[1]} pixels, but its annotations say "
        f"{declared[0]}x{declared[1]}"
    )
    if size != declared[::-1]:
        raise DataError(
            f"{problem}, so that its boxes would lie wrong. Give the picture that was annotated, or correct "
            "width and height."
        )
    turned = " once its EXIF orientation is applied" if image.size != size else ""
    raise DataError(
        f"{problem}: width and height are swapped{turned}. Boxes must lie in the picture as it is seen: "
        "correct width and height, and turn the boxes if they lie wrong, or remove the orientation from "
        "the file."
    )


def spread(num_pictures: int, count: int) -> list[int]:
    """Up to `count` picture numbers, spread evenly over all."""
    places: list[int] = np.linspace(0, num_pictures - 1, min(count, num_pictures)).astype(int).tolist()
    return places
