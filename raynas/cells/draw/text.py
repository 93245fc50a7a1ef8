"""Renders a genotype as ASCII text for the terminal: a line or two per block, at most 78 columns."""

from __future__ import annotations

from collections.abc import Iterator

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype

MAX_COLUMNS = 78
INPUT_NAMES = ("h_i", "h_prev")


def genotype_text(genotype: Genotype) -> str:
    """Both cells, block by block; '/2' marks the operations of a reduction cell that halve the image.

    An operation 'none' is shown as '-', or left out of a sum. If the Normal and the Reduction cell are the
    same, it is written once.
    """
    normal = _cell_lines(genotype.normal, is_reduction=False)
    if genotype.normal == genotype.reduction:
        note = "  in a reduction, operations on the cell's inputs halve the image"
        return "\n".join(["normal and reduction cell", *normal, note, ""])
    reduction = _cell_lines(genotype.reduction, is_reduction=True)
    return "\n".join(["normal cell", *normal, "", "reduction cell", *reduction, ""])


def _cell_lines(cell: CellGenotype, *, is_reduction: bool) -> Iterator[str]:
    results = [_state_name(cell.num_inputs + index, cell) for index in range(len(cell.blocks))]
    name_width, result_width = len(f"block {len(cell.blocks) - 1}"), max(map(len, (*results, "out")))
    texts = [_block_text(block, cell, is_reduction) for block in cell.blocks]
    indent = len(f"  {'':{name_width}} -> {'':{result_width}}:  ")
    for index, (result, lines) in enumerate(zip(results, _aligned(texts, indent), strict=True)):
        yield f"  {f'block {index}':{name_width}} -> {result + ':':{result_width + 1}}  {lines[0]}"
        yield from (" " * indent + line for line in lines[1:])
    states = [_state_name(state, cell) for state in cell.concat]
    if len(states) > 1 and cell.is_chained:
        outputs = "  ".join(f"out{index}: {state}" for index, state in enumerate(states))
        yield f"  {'outputs':{name_width}} -> {outputs}"
    else:
        name = "output" if cell.is_chained else "concat"
        yield f"  {name:{name_width}} -> {'out:':{result_width + 1}}  {' '.join(states)}"


def _aligned(texts: list[tuple[str, ...]], indent: int) -> list[list[str]]:
    """One line per block, or, if a line would be too long, two lines with the second half below the first."""
    # A text of a single part is what is left of a sum with 'none': it has no combiner and no second half.
    op_width = max(len(half_a) for half_a, *_ in texts)
    combiner_width = max((len(rest[0]) for _, *rest in texts if rest), default=0)
    lines = [
        f"{half_a:{op_width}}  {rest[0]:{combiner_width}}  {rest[1]}" if rest else half_a
        for half_a, *rest in texts
    ]
    if indent + max(map(len, lines)) <= MAX_COLUMNS:
        return [[line] for line in lines]
    # The halves stand below each other now, so they share one width.
    op_width = max(len(half) for half_a, *rest in texts for half in (half_a, *rest[1:]))
    return [[f"{half_a:{op_width}}  {rest[0]}", rest[1]] if rest else [half_a] for half_a, *rest in texts]


def _block_text(block: Block, cell: CellGenotype, is_reduction: bool) -> tuple[str, ...]:
    """First half, combiner and second half of a block, or only the one that is left of a sum."""
    halves = ((block.op_a, block.input_a), (block.op_b, block.input_b))
    half_a, half_b = (_half(op, state, cell, is_reduction) for op, state in halves)
    if block.op_a == block.op_b == "none":
        return ("0",)
    if block.combiner == "add" and "none" in (block.op_a, block.op_b):
        return (half_a if block.op_b == "none" else half_b,)
    return half_a, block.combiner, half_b


def _half(op: str, state: int, cell: CellGenotype, is_reduction: bool) -> str:
    if op == "none":
        return "-"
    stride = "/2" if is_reduction and state < cell.num_inputs else ""
    return f"{op}({_state_name(state, cell)}){stride}"


def _state_name(state: int, cell: CellGenotype) -> str:
    if state >= cell.num_inputs:
        return f"s{state}"
    if not cell.is_chained:
        return INPUT_NAMES[state]
    return "in" if cell.num_inputs == 1 else f"in{state}"
