"""Draws the true boxes of a picture beside those that a detector predicts, with Pillow."""

# Shapes: N boxes of a picture, M predictions of a picture.

from __future__ import annotations

import colorsys
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from raynas.detection.data.boxes import DetectionClasses
from raynas.detection.data.dataset import DetectionSet
from raynas.detection.data.first_look import declared_size
from raynas.detection.data.pictures import FilePictures, Numbers, PictureSet, decode_picture, spread
from raynas.detection.evaluation import Predictions
from raynas.errors import shortened

SHOWN_SCORE = 0.3
"""Predictions with lower scores are not drawn, unless all are lower."""
MOST_SHOWN = 30
"""Predictions that are drawn at most, the best first."""
SHOWN_ANYWAY = 3
"""Predictions that are drawn where all scores are lower than SHOWN_SCORE."""
PANEL_SIDE = 640
"""Longest side in pixels of each half."""
_HEADING = 22
_FONT_SIZE = 14
_GOLDEN = 0.618034
"""Steps of this part of the colour circle keep any number of colours apart."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnBoxes:
    """Boxes with the words beside them.

    Args:
        heading: stands above the picture.
        boxes_N4: left, top, right, bottom in pixels of the picture in its own size.
        labels_N: from 1; each has its colour.
        texts: one for each box.
    """

    heading: str
    boxes_N4: NDArray[np.float32]
    labels_N: Numbers
    texts: Sequence[str]


def comparisons(
    split: DetectionSet, numbers: Numbers, predictions: Predictions, *, side: int = PANEL_SIDE
) -> list[Image.Image]:
    """Pictures of a split with true and predicted boxes side by side, in the order of `numbers`.

    Args:
        predictions: of these pictures, and of any others.
        side: longest side in pixels of each half.
    Raises:
        DataError: a picture can't be read.
    """
    return [
        side_by_side(
            _decoded(split, number),
            true_boxes(split, number),
            predicted_boxes(predictions, number, split.classes),
            side=side,
        )
        for number in numbers.tolist()
    ]


def side_by_side(picture: Image.Image, left: DrawnBoxes, right: DrawnBoxes, *, side: int) -> Image.Image:
    """Two copies of a picture, each with boxes of its own and a heading above."""
    factor = side / max(picture.size)
    width, height = (max(1, round(length * factor)) for length in picture.size)
    small = picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    # Never narrower than its heading.
    column = max(width, 200)
    sheet = Image.new("RGB", (2 * column + 4, height + _HEADING), "white")
    for start, boxes in ((0, left), (column + 4, right)):
        panel = small.copy()
        _draw(panel, boxes, np.array([width / picture.width, height / picture.height]))
        heading = Image.new("RGB", (column, _HEADING), "white")
        ImageDraw.Draw(heading).text((2, 2), printable(boxes.heading), fill="black", font=_font())
        sheet.paste(heading, (start, 0))
        sheet.paste(panel, (start, _HEADING))
    return sheet


def true_boxes(split: DetectionSet, number: int) -> DrawnBoxes:
    """The boxes of a picture as the data set has them, with crowds."""
    rows = split.boxes.of_picture(number)
    labels_N = split.boxes.labels_N[rows].astype(np.int64)
    crowds = split.boxes.is_crowd_N[rows].tolist()
    texts = [
        split.classes.names[label - 1] + (" (crowd)" if is_crowd else "")
        for label, is_crowd in zip(labels_N.tolist(), crowds, strict=True)
    ]
    heading = f"truth: {_counted(len(texts))}, picture {split.picture_ids[number]}"
    return DrawnBoxes(heading, split.boxes.boxes_N4[rows], labels_N, texts)


def predicted_boxes(predictions: Predictions, number: int, classes: DetectionClasses) -> DrawnBoxes:
    """The best of a picture's predictions, with their scores."""
    rows_M = np.flatnonzero(predictions.pictures_M == number)
    rows_M = rows_M[np.argsort(-predictions.scores_M[rows_M], kind="stable")]
    good_M = rows_M[predictions.scores_M[rows_M] >= SHOWN_SCORE][:MOST_SHOWN]
    shown_M = good_M if len(good_M) else rows_M[:SHOWN_ANYWAY]
    labels_N = predictions.labels_M[shown_M]
    texts = [
        f"{classes.names[label - 1]} {score:.2f}"
        for label, score in zip(labels_N.tolist(), predictions.scores_M[shown_M].tolist(), strict=True)
    ]
    limit = "with score" if len(good_M) or not len(rows_M) else "the best; none has score"
    heading = f"predicted: {_counted(len(shown_M))} {limit} >= {SHOWN_SCORE:g}"
    return DrawnBoxes(heading, predictions.boxes_M4[shown_M], labels_N, texts)


def example_numbers(pictures: PictureSet, count: int) -> Numbers:
    """Some pictures, always the same and ascending, that are cheap to read."""
    if isinstance(pictures, FilePictures):
        return np.array(spread(pictures.num_pictures, count), dtype=np.int64)
    # Rows of a Parquet file are read together with their neighbours.
    first = np.sort(pictures.pieces(None)[0])
    return first[spread(len(first), count)]


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _decoded(split: DetectionSet, number: int) -> Image.Image:
    picture = split.pictures.fetch(np.array([number]))[0]
    declared = declared_size(split.sizes_P2, number)
    return decode_picture(picture, split.picture_ids[number], declared=declared)[0]


def _draw(panel: Image.Image, boxes: DrawnBoxes, factor_2: NDArray[np.float64]) -> None:
    draw = ImageDraw.Draw(panel)
    corners_N4 = np.clip(boxes.boxes_N4 * np.tile(factor_2, 2), 0, np.tile(np.array(panel.size) - 1, 2))
    found = list(zip(corners_N4.tolist(), boxes.labels_N.tolist(), boxes.texts, strict=True))
    # The first, which are the best, are drawn last and so on top.
    for (left, top, right, bottom), label, text in reversed(found):
        draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=_colour(label), width=2)
        _tag(draw, printable(text), _colour(label), (left, top), panel.size)


def _tag(
    draw: ImageDraw.ImageDraw,
    text: str,
    colour: tuple[int, int, int],
    corner: tuple[float, float],
    size: tuple[int, int],
) -> None:
    """Words on a field of the box's colour, above its corner, or where there is room."""
    _, _, right, bottom = draw.textbbox((0, 0), text, font=_font())
    width, height = right + 4, bottom + 3
    x = max(0, min(corner[0], size[0] - width))
    y = corner[1] - height if corner[1] >= height else corner[1]
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    # Black or white, whichever stands out: the eye sees green brightest.
    brightness = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    draw.text((x + 2, y + 1), text, fill="black" if brightness > 140 else "white", font=_font())


def _colour(label: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(label * _GOLDEN % 1.0, 0.9, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


@functools.cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_FONT_SIZE)


def printable(text: str) -> str:
    """Pillow's own font has Latin letters alone, and names may hold anything, such as line breaks."""
    plain = text.encode("latin-1", "replace").decode("latin-1")
    return shortened("".join(sign if sign.isprintable() else "?" for sign in plain), 80)


def _counted(number: int) -> str:
    return f"{number} box" if number == 1 else f"{number} boxes"
