"""The PNG of a genotype: its size, its safety, and that text fits its box in the widest usual font."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from raynas.cells.block import COMBINERS, OPERATIONS
from raynas.cells.draw import genotype_png, genotype_svg
from raynas.cells.draw.layout import COMBINER_WIDTH, FONT_SIZE, NORM_WIDTH, combiner_text, op_lines
from raynas.cells.draw.picture import HEADING_SIZE, genotype_picture
from raynas.cells.draw.png import PIXELS_PER_UNIT, PNG_FONT_FAMILY
from raynas.cells.draw.rows import OP_WIDTH
from raynas.cells.genotype import Genotype
from search_spaces.nasnet import NASNET_A
from tests.cells.draw.drawn_cells import chain, comb

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SMALLEST = Genotype(chain(1), comb(1))


def png_size(png: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def text_width(text: str, size: int, *, is_bold: bool = False) -> float:
    font = FontProperties(family=PNG_FONT_FAMILY, weight="bold" if is_bold else "normal")
    return float(TextPath((0, 0), text, size=size, prop=font).get_extents().width)


@pytest.mark.parametrize("genotype", [SMALLEST, NASNET_A])
def test_png_has_its_signature_and_the_size_of_the_picture(genotype):
    png = genotype_png(genotype, title="child")
    picture = genotype_picture(genotype, title="child")
    assert png.startswith(SIGNATURE)
    assert png_size(png) == (PIXELS_PER_UNIT * picture.width, PIXELS_PER_UNIT * picture.height)


def test_the_same_genotype_gives_the_same_bytes():
    assert genotype_png(SMALLEST, title="child") == genotype_png(SMALLEST, title="child")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("title", ["$\\frac{1}{", "\x00\x1b[2J<b>", "\u4e2d\u6587 \U0001f600", "x" * 5000])
def test_no_title_disturbs_the_drawing(title):
    assert genotype_png(SMALLEST, title=title).startswith(SIGNATURE)


@pytest.mark.parametrize("op", OPERATIONS)
def test_each_operation_fits_its_box(op):
    assert all(text_width(line, FONT_SIZE) <= OP_WIDTH - 8 for line in op_lines(op, stride=2))


@pytest.mark.parametrize("combiner", COMBINERS)
def test_each_combiner_fits_its_box(combiner):
    text = combiner_text(combiner)
    assert text_width(text, FONT_SIZE) <= (COMBINER_WIDTH if text == combiner else NORM_WIDTH) - 8


def test_a_heading_fits_a_picture_of_one_cell():
    genotype = Genotype(comb(1), comb(1))
    picture = genotype_picture(genotype)
    (heading,) = picture.texts
    assert heading.text == "Normal and reduction cell"
    assert text_width(heading.text, HEADING_SIZE) <= picture.width
    assert png_size(genotype_png(genotype)) == (2 * picture.width, 2 * picture.height)


@pytest.mark.parametrize("title", ["W" * 40, "3f9a1c02b7de, accuracy 0.937", "mmmm " * 20, "N&N" * 30])
def test_title_fits_the_picture(title):
    picture = genotype_picture(SMALLEST, title=title)
    assert text_width(picture.title, picture.texts[0].size, is_bold=True) <= picture.width


def test_importing_raynas_draw_leaves_matplotlib_alone():
    code = "import sys, raynas.cells.draw; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pyplot_is_never_imported():
    code = (
        "import sys; from raynas.cells.draw import genotype_png; from search_spaces.nasnet import NASNET_A; "
        "genotype_png(NASNET_A); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_svg_and_png_show_the_same_picture():
    width, height = png_size(genotype_png(NASNET_A))
    assert f'viewBox="0 0 {width // PIXELS_PER_UNIT} {height // PIXELS_PER_UNIT}"' in genotype_svg(NASNET_A)
