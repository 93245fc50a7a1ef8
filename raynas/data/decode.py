"""Decodes images into one array: sizes are read from the headers first, then every image is decoded once.

Files are not trusted: few formats are allowed, the number of pixels is limited, and whatever Pillow raises
becomes a DataError.
"""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from raynas.data.pixels import MAX_PIXELS, central_square
from raynas.errors import DataError

MIN_SIDE = 4
"""Smallest side of an image, in pixels; two reduction cells would leave nothing of a smaller one."""

# An explicit list, because some of Pillow's decoders start other programs (EPS starts Ghostscript).
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "TIFF", "AVIF")
_HEIC_ENDINGS = (".heic", ".heif")
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L"})
_IMAGES_PER_TASK = 64
_MAX_THREADS = 8

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image before decoding: a file of its own (content is None), or the content of a row of a file."""

    file: Path
    row: int | None = None
    content: bytes | None = None

    @property
    def where(self) -> str:
        """Name of the image in messages."""
        return f"{self.file}" if self.row is None else f"row {self.row} (counted from 0) of {self.file}"


@dataclass(frozen=True, slots=True)
class _Header:
    short_side: int
    is_grey: bool


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImages:
    """Square images of one size, and why others have no place among them.

    Args:
        images_NHWC: those that could be decoded, in the order in which they were asked for.
        places_N: where each of them was among all that were asked for.
        broken: the error of each of the others, which names it, by its place.
    """

    images_NHWC: NDArray[np.uint8]
    places_N: NDArray[np.int64]
    broken: Mapping[int, DataError] = field(default_factory=dict)


def decode_images(
    images: Sequence[EncodedImage], *, image_size: int | None, max_image_size: int | None = None
) -> DecodedImages:
    """Decodes all images to square ones, grey if all are grey and else RGB.

    Each becomes what `central_square` makes of it. One that is corrupt, smaller than MIN_SIDE or larger than
    MAX_PIXELS is broken.

    Args:
        image_size: pixels per side. Defaults to the median of the short sides, so that images of one size
            keep it.
        max_image_size: the most that this default may be; None means no limit.
    Raises:
        DataError: all are broken, and this is the first error; or they don't fit into memory.
    """
    broken: dict[int, DataError] = {}

    def unless_broken(function: Callable[[int], _Result]) -> Callable[[int], _Result | None]:
        def call(place: int) -> _Result | None:
            try:
                return function(place)
            except DataError as error:
                broken[place] = error
                return None

        return call

    headers = _in_threads(unless_broken(lambda place: _read_header(images[place])), range(len(images)))
    known = [header for header in headers if header is not None]
    if not known:
        raise broken[0]
    mode = "L" if all(header.is_grey for header in known) else "RGB"
    median = int(np.median([header.short_side for header in known]))
    size = image_size or min(median, max_image_size or median)
    images_NHWC = _allocate(len(images), size, len(mode))

    def decode_into(place: int) -> None:
        images_NHWC[place] = _pixels(images[place], size, mode)

    _in_threads(unless_broken(decode_into), [place for place in range(len(images)) if place not in broken])
    if len(broken) == len(images):
        raise broken[0]
    places_N = np.array([place for place in range(len(images)) if place not in broken], dtype=np.int64)
    return DecodedImages(
        images_NHWC[places_N] if broken else images_NHWC, places_N, dict(sorted(broken.items()))
    )


def _read_header(encoded: EncodedImage) -> _Header:
    with opened_image(encoded) as image:
        check_size(image.size, encoded)
        return _Header(short_side=min(image.size), is_grey=image.mode in _GREY_MODES)


def check_size(size: tuple[int, int], encoded: EncodedImage) -> None:
    """Raises DataError if an image of this width and height is below MIN_SIDE or above MAX_PIXELS."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"The image in {encoded.where} has {width}x{height} pixels; at most {MAX_PIXELS:,} pixels are "
            "allowed. Scale it down or remove it."
        )
    if min(width, height) < MIN_SIDE:
        raise DataError(
            f"The image in {encoded.where} has {width}x{height} pixels; both sides must have at least "
            f"{MIN_SIDE}. Replace or remove it."
        )


def _pixels(encoded: EncodedImage, size: int, mode: str) -> NDArray[np.uint8]:
    with opened_image(encoded) as image:
        pixels = np.asarray(central_square(image, size, mode))
    return pixels[..., None] if mode == "L" else pixels


@contextmanager
def opened_image(encoded: EncodedImage) -> Iterator[Image.Image]:
    """Opens an image; any error from opening or from the with block becomes a DataError that names it."""
    stream = encoded.file if encoded.content is None else io.BytesIO(encoded.content)
    is_heic = encoded.file.suffix.lower() in _HEIC_ENDINGS
    if is_heic and not _reads_heic():
        raise DataError(
            f"The image in {encoded.where} is a HEIC file, which pillow-heif reads: pip install "
            "'raynas[heic]', on every machine that decodes images, or convert it to JPEG."
        )
    try:
        with Image.open(stream, formats=(*_FORMATS, "HEIF") if is_heic else _FORMATS) as image:
            yield image
    except DataError:
        raise
    # Every Exception, because decoders raise OSError, SyntaxError, ValueError, struct.error, IndexError ...
    except Exception as error:
        raise DataError(
            f"The image in {encoded.where} can't be decoded: {_reason(error)}. Replace or remove it."
        ) from error


@functools.cache
def _reads_heic() -> bool:
    """Whether pillow-heif is installed; Pillow then opens HEIC files too."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"it is corrupt or in none of the formats {', '.join(_FORMATS)}"
    return str(error).rstrip(".") or type(error).__name__


def _allocate(num_images: int, size: int, num_channels: int) -> NDArray[np.uint8]:
    num_bytes = num_images * size * size * num_channels
    try:
        # Linux grants more memory than there is and kills the process that uses it, so np.empty alone would
        # not raise.
        if num_bytes > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
            raise MemoryError
        return np.empty((num_images, size, size, num_channels), dtype=np.uint8)
    except MemoryError as error:
        raise DataError(
            f"{num_images:,} images of {size}x{size} pixels need {num_bytes / 1e9:,.1f} GB of memory, "
            "more than this machine has. Lower data.image_size or data.train_images; a final training can "
            "stream images instead (data.streamed=true)."
        ) from error


def _in_threads(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """[function(item) for item in items], in threads: Pillow releases the GIL while it decodes."""

    def run(first: int) -> list[_Result]:
        return [function(item) for item in items[first : first + _IMAGES_PER_TASK]]

    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        parts = pool.map(run, range(0, len(items), _IMAGES_PER_TASK))
        return [result for part in parts for result in part]
