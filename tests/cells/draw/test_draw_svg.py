"""The SVG of a genotype: well-formed, complete, safe and quick."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree

from hypothesis import example
from hypothesis import strategies as st

from raynas.cells.block import OPERATIONS, Block
from raynas.cells.draw import genotype_svg
from raynas.cells.draw.picture import MAX_TITLE_LENGTH, genotype_picture
from raynas.cells.draw.rows import live_halves
from raynas.cells.draw.shapes import Rectangle
from raynas.cells.genotype import CellGenotype, Genotype
from search_spaces.nasnet import NASNET_A
from tests.cells.draw.drawn_cells import contains, for_all, genotypes, overlap

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</text><script>alert("x")</script>&amp;]]>\x00\x1b\r\n'


def text_of(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@for_all(genotype=genotypes(), title=st.text())
@example(genotype=NASNET_A, title=HOSTILE)
def test_svg_parses_and_names_every_operation(genotype, title):
    root = ElementTree.fromstring(genotype_svg(genotype, title=title))
    names = [element.findtext(f"{SVG}title") for element in root.iter(f"{SVG}rect")]
    is_one_cell = genotype.normal == genotype.reduction
    cells = [genotype.normal] if is_one_cell else [genotype.normal, genotype.reduction]
    ops = [op for cell in cells for block in cell.blocks for _, op in live_halves(block)]
    assert all(names.count(op) == ops.count(op) for op in OPERATIONS)


@for_all(genotype=genotypes(), title=st.text())
def test_cells_stand_apart_below_the_headings_and_within_the_picture(genotype, title):
    picture = genotype_picture(genotype, title=title)
    frame = Rectangle(0, 0, picture.width, picture.height, "", "")
    cells = [
        Rectangle(cell.x, cell.y, cell.drawing.width, cell.drawing.height, "", "") for cell in picture.cells
    ]
    assert all(contains(frame, cell) for cell in cells)
    assert len(cells) == len({genotype.normal, genotype.reduction})
    assert not [pair for pair in combinations(cells, 2) if overlap(*pair)]
    assert all(text.y < cell.y for text in picture.texts for cell in cells)


def test_a_hostile_title_is_text_and_nothing_else():
    svg = genotype_svg(NASNET_A, title=HOSTILE)
    assert "<script" not in svg and "\x00" not in svg and "\x1b" not in svg
    assert text_of(svg)[0] == '</text><script>alert("x")</script>&amp;]]>'


def test_title_and_headings_are_written_on_top():
    titled = text_of(genotype_svg(NASNET_A, title="NASNet-A"))
    assert titled[:3] == ["NASNet-A", "Normal cell", "Reduction cell"]
    assert text_of(genotype_svg(NASNET_A))[:2] == ["Normal cell", "Reduction cell"]


def test_a_very_long_title_is_cut():
    assert text_of(genotype_svg(NASNET_A, title="x" * 5000))[0] == "x" * (MAX_TITLE_LENGTH - 3) + "..."


def test_viewbox_width_and_height_agree():
    root = ElementTree.fromstring(genotype_svg(NASNET_A))
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"


def test_svg_has_a_white_background_and_nothing_that_clashes_within_one_page():
    svg = genotype_svg(NASNET_A)
    first = next(ElementTree.fromstring(svg).iter(f"{SVG}rect"))
    assert first.get("fill") == "#ffffff"
    assert " id=" not in svg and "<style" not in svg


def states_of(cell: CellGenotype) -> list[str]:
    return [text for text in text_of(genotype_svg(Genotype(cell, cell))) if text.startswith(("h", "out"))]


def test_states_are_written_with_subscripts():
    assert states_of(NASNET_A.normal) == ["hi-1", "hi", "hi+1"]
    assert states_of(CellGenotype((Block(0, "conv_3x3", 0, "none"),), (1,), 1)) == ["hi", "hi+1"]
    three = CellGenotype((Block(0, "conv_3x3", 1, "identity"),), (3, 0, 2), 3)
    assert states_of(three) == ["h0", "h1", "h2", "out0", "out1", "out2"]


def test_a_block_of_two_none_is_a_zero():
    cell = CellGenotype((Block(0, "none", 0, "none"),), (1,), 1)
    assert text_of(genotype_svg(Genotype(cell, cell)))[2:] == ["block 0", "0", "hi+1"]


def test_a_cell_that_is_both_is_drawn_once():
    texts = text_of(genotype_svg(Genotype(NASNET_A.normal, NASNET_A.normal)))
    assert texts[0] == "Normal and reduction cell"
    assert texts.count("block 0") == 1
