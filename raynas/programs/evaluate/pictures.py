"""Writes pictures of an evaluation into a folder, where nothing is ever overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from raynas.detection.drawing import comparisons, example_numbers, png, printable
from raynas.errors import UsageError
from raynas.programs.evaluate.classifier import Mistake
from raynas.programs.evaluate.detector import Detected

MAX_PICTURES = 1000
_SHEET_SIDE = 320
_LINE = 20
_FONT_SIZE = 15


def check_pictures(count: int, out: Path | None) -> None:
    """UsageError unless so many pictures can be written to `out`; None means that it was not given."""
    if not 0 <= count <= MAX_PICTURES:
        raise UsageError(f"pictures (--pictures) = {count}: give a number from 0 to {MAX_PICTURES:,}.")
    if count and out is None:
        raise UsageError("Pictures need a folder to be written to: give out (--out FOLDER).")
    if not count and out is not None:
        raise UsageError(f"Nothing would be written to {out}: give pictures (--pictures N) too.")
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file. Give a folder, or a path that does not exist yet.")
    taken = next((path for path in _paths(out, count) if path.exists() or path.is_symlink()), None)
    if taken is not None:
        raise UsageError(f"{taken} exists already, and is left as it is. Choose another folder.")


def detector_pictures(detected: Detected, count: int) -> Iterable[Image.Image]:
    """True boxes beside predicted ones, for pictures spread over the data."""
    for number in example_numbers(detected.truth.pictures, count):
        yield from comparisons(detected.truth, number[None], detected.predictions)


def mistake_pictures(mistakes: Sequence[Mistake], classes: Sequence[str]) -> Iterable[Image.Image]:
    """Each misclassified image, as the network got it, with what it is and what it was taken for."""
    for mistake in mistakes:
        yield _sheet(
            mistake,
            (
                f"truth: {classes[mistake.true]}",
                f"predicted: {classes[mistake.predicted]} ({mistake.probability:.2f})",
                f"image {mistake.place:,} of the data, counted from 0",
            ),
        )


def write_pictures(pictures: Iterable[Image.Image], out: Path, count: int) -> list[Path]:
    """Writes at most `count` pictures as PNG files; returns their paths.

    Raises:
        UsageError: one can't be written, or its name was taken in the meantime.
    """
    written = []
    for path, picture in zip(_paths(out, count), pictures, strict=False):
        try:
            out.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(png(picture))
        except FileExistsError:
            raise UsageError(f"{path} exists already, and is left as it is. Choose another folder.") from None
        except OSError as error:
            raise UsageError(f"{path} can't be written: {error.strerror}. Choose another folder.") from error
        written.append(path)
    return written


def _paths(out: Path, count: int) -> list[Path]:
    return [out / f"{number:04}.png" for number in range(1, count + 1)]


def _sheet(mistake: Mistake, lines: Sequence[str]) -> Image.Image:
    pixels_HWC = mistake.pixels_HWC
    image = Image.fromarray(pixels_HWC[..., 0] if pixels_HWC.shape[2] == 1 else pixels_HWC).convert("RGB")
    factor = _SHEET_SIDE / max(image.size)
    # Small images keep their pixels, which a smooth enlargement would blur.
    kind = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BILINEAR
    image = image.resize((round(image.width * factor), round(image.height * factor)), kind)
    font = ImageFont.load_default(_FONT_SIZE)
    sheet = Image.new("RGB", (_SHEET_SIDE, image.height + _LINE * len(lines) + 4), "white")
    sheet.paste(image, (0, 0))
    draw = ImageDraw.Draw(sheet)
    for row, line in enumerate(lines):
        draw.text((4, image.height + 2 + row * _LINE), printable(line), fill="black", font=font)
    return sheet
