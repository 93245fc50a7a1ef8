"""The plain-text drawing: complete, aligned, ASCII, narrow."""

from __future__ import annotations

from hypothesis import example

from raynas.cells.block import COMBINERS, MAX_BLOCKS, OPERATIONS, Block
from raynas.cells.draw import genotype_text
from raynas.cells.draw.rows import live_halves
from raynas.cells.genotype import CellGenotype, Genotype
from search_spaces.nasnet import NASNET_A
from tests.cells.draw.drawn_cells import chain, for_all, genotypes

COLUMNS = 78
WIDEST_OP = max(OPERATIONS, key=len)
WIDEST_BLOCKS = tuple(Block(1, WIDEST_OP, 1, WIDEST_OP, max(COMBINERS, key=len)) for _ in range(MAX_BLOCKS))
WIDEST = CellGenotype(WIDEST_BLOCKS, tuple(range(MAX_BLOCKS + 2)))
NARROWER = CellGenotype(WIDEST_BLOCKS[1:], tuple(range(MAX_BLOCKS + 1)))


def block_lines(genotype: Genotype) -> list[tuple[Block, str]]:
    """Each block with all that is written of it, the cells after one another."""
    both = (genotype.normal, genotype.reduction)
    cells = both[:1] if genotype.normal == genotype.reduction else both
    text = genotype_text(genotype).replace("\n" + 9 * " ", " ")
    lines = [line for line in text.splitlines() if line.startswith("  block")]
    return list(zip([block for cell in cells for block in cell.blocks], lines, strict=True))


@for_all(genotype=genotypes())
@example(genotype=Genotype(WIDEST, WIDEST))
@example(genotype=Genotype(NARROWER, WIDEST))
@example(genotype=Genotype(chain(1), chain(MAX_BLOCKS)))
def test_text_is_ascii_and_fits_78_columns(genotype):
    text = genotype_text(genotype)
    assert text.isascii() and text.endswith("\n")
    assert max(map(len, text.splitlines())) <= COLUMNS


@for_all(genotype=genotypes())
def test_text_mentions_each_block_of_each_cell(genotype):
    for block, line in block_lines(genotype):
        ops = [op for _, op in live_halves(block)]
        written = [word.partition("(")[0] for word in line.partition(":")[2].split()]
        if not ops:
            assert written == ["0"]
        elif len(ops) == 1 and block.combiner == "add":
            assert written == ops
        else:
            expected = [op.replace("none", "-") for op in (block.op_a, block.op_b)]
            assert written == [expected[0], block.combiner, expected[1]]


@for_all(genotype=genotypes())
def test_blocks_are_numbered_and_name_the_state_that_they_yield(genotype):
    cell = genotype.normal
    for index, (_, line) in enumerate(block_lines(genotype)[: len(cell.blocks)]):
        assert line.split()[:4] == ["block", str(index), "->", f"s{cell.num_inputs + index}:"]


@for_all(genotype=genotypes())
def test_combiners_stand_below_each_other(genotype):
    normal = genotype_text(genotype).split("\n\n")[0]
    lines = [f"{line} " for line in normal.splitlines() if not line.startswith("  concat")]
    columns = {line.index(f" {word} ") for line in lines for word in COMBINERS if f" {word} " in line}
    assert len(columns) <= 1


def test_nasnet_a_reads_like_the_paper():
    assert genotype_text(NASNET_A).splitlines()[9:] == [
        "  block 0 -> s2:   sep_conv_5x5(h_i)/2  add  sep_conv_7x7(h_prev)/2",
        "  block 1 -> s3:   max_pool_3x3(h_i)/2  add  sep_conv_7x7(h_prev)/2",
        "  block 2 -> s4:   avg_pool_3x3(h_i)/2  add  sep_conv_5x5(h_prev)/2",
        "  block 3 -> s5:   identity(s3)         add  avg_pool_3x3(s2)",
        "  block 4 -> s6:   sep_conv_3x3(s2)     add  max_pool_3x3(h_i)/2",
        "  concat  -> out:  s3 s4 s5 s6",
    ]


def test_a_chained_cell_names_each_output():
    blocks = (
        Block(0, "sep_conv_3x3", 1, "bottleneck_3x3", "add_layer_norm"),
        Block(2, "identity", 2, "none"),
    )
    normal = CellGenotype(blocks, (3, 4, 1), 3)
    reduction = CellGenotype(blocks[:1], (3, 0, 2), 3)
    assert genotype_text(Genotype(normal, reduction)).splitlines() == [
        "normal cell",
        "  block 0 -> s3:   sep_conv_3x3(in0)  add_layer_norm  bottleneck_3x3(in1)",
        "  block 1 -> s4:   identity(in2)",
        "  outputs -> out0: s3  out1: s4  out2: in1",
        "",
        "reduction cell",
        "  block 0 -> s3:   sep_conv_3x3(in0)/2  add_layer_norm  bottleneck_3x3(in1)/2",
        "  outputs -> out0: s3  out1: in0  out2: in2",
    ]


def test_a_single_input_and_output_have_no_number_and_one_cell_is_written_once():
    cell = CellGenotype((Block(0, "conv_3x3", 0, "none"), Block(0, "identity", 1, "conv_1x1")), (2,), 1)
    assert genotype_text(Genotype(cell, cell)).splitlines() == [
        "normal and reduction cell",
        "  block 0 -> s1:   conv_3x3(in)",
        "  block 1 -> s2:   identity(in)  add  conv_1x1(s1)",
        "  output  -> out:  s2",
        "  in a reduction, operations on the cell's inputs halve the image",
    ]
