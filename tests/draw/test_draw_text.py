"""The plain-text drawing: complete, aligned, ASCII, narrow."""

from __future__ import annotations

from hypothesis import example

from raynas.draw import genotype_text
from raynas.genotype import MAX_BLOCKS, Block, CellGenotype, Genotype
from search_spaces.nasnet import NASNET_A
from tests.draw.drawn_cells import chain, for_all, genotypes

COLUMNS = 78
WIDEST_BLOCKS = tuple(Block(1, "conv_1x7_7x1", 1, "conv_1x7_7x1", "concat") for _ in range(MAX_BLOCKS))
WIDEST = CellGenotype(WIDEST_BLOCKS, tuple(range(MAX_BLOCKS + 2)))


@for_all(genotype=genotypes())
@example(genotype=Genotype(WIDEST, WIDEST))
@example(genotype=Genotype(chain(1), chain(MAX_BLOCKS)))
def test_text_is_ascii_and_fits_78_columns(genotype):
    text = genotype_text(genotype)
    assert text.isascii() and text.endswith("\n")
    assert max(map(len, text.splitlines())) <= COLUMNS


@for_all(genotype=genotypes())
def test_text_mentions_each_block_of_both_cells(genotype):
    normal, reduction = genotype_text(genotype).split("reduction cell")
    for text, cell in ((normal, genotype.normal), (reduction, genotype.reduction)):
        lines = [line for line in text.splitlines() if line.startswith("  block")]
        for index, (line, block) in enumerate(zip(lines, cell.blocks, strict=True)):
            assert line.split()[1:4] == [str(index), "->", f"s{index + 2}:"]
            combiner = line.index(f" {block.combiner} ")
            assert line.index(f"{block.op_a}(") < combiner < line.rindex(f"{block.op_b}(")


@for_all(genotype=genotypes())
def test_combiners_stand_below_each_other(genotype):
    normal = genotype_text(genotype).split("\n\n")[0]
    lines = [line for line in normal.splitlines() if line.startswith("  block")]
    blocks = genotype.normal.blocks
    assert len({line.index(f" {block.combiner} ") for line, block in zip(lines, blocks, strict=True)}) == 1


def test_nasnet_a_reads_like_the_paper():
    assert genotype_text(NASNET_A).splitlines()[9:] == [
        "  block 0 -> s2:   sep_conv_5x5(h_i)/2  add  sep_conv_7x7(h_prev)/2",
        "  block 1 -> s3:   max_pool_3x3(h_i)/2  add  sep_conv_7x7(h_prev)/2",
        "  block 2 -> s4:   avg_pool_3x3(h_i)/2  add  sep_conv_5x5(h_prev)/2",
        "  block 3 -> s5:   identity(s3)         add  avg_pool_3x3(s2)",
        "  block 4 -> s6:   sep_conv_3x3(s2)     add  max_pool_3x3(h_i)/2",
        "  concat  -> out:  s3 s4 s5 s6",
    ]
