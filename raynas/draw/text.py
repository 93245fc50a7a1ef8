"""A genotype as plain text for the terminal: one line per block, ASCII, at most 78 columns."""

from __future__ import annotations

from collections.abc import Iterator

from raynas.genotype import NUM_INPUTS, Block, CellGenotype, Genotype

INPUT_NAMES = ("h_i", "h_prev")


def genotype_text(genotype: Genotype) -> str:
    """Both cells, block by block; '/2' marks the operations of the reduction cell that halve the image."""
    lines = [
        "normal cell",
        *_cell_lines(genotype.normal, is_reduction=False),
        "",
        "reduction cell",
        *_cell_lines(genotype.reduction, is_reduction=True),
        "",
    ]
    return "\n".join(lines)


def _cell_lines(cell: CellGenotype, *, is_reduction: bool) -> Iterator[str]:
    halves = [_halves(block, is_reduction) for block in cell.blocks]
    op_width = max(len(half_a) for half_a, _ in halves)
    combiner_width = max(len(block.combiner) for block in cell.blocks)
    results = [_state_name(NUM_INPUTS + index) for index in range(len(cell.blocks))]
    name_width, result_width = len(f"block {len(cell.blocks) - 1}"), max(map(len, (*results, "out")))
    for index, (block, (half_a, half_b)) in enumerate(zip(cell.blocks, halves, strict=True)):
        head = f"{f'block {index}':{name_width}} -> {results[index] + ':':{result_width + 1}}"
        yield f"  {head}  {half_a:{op_width}}  {block.combiner:{combiner_width}}  {half_b}"
    outputs = " ".join(map(_state_name, cell.concat))
    yield f"  {'concat':{name_width}} -> {'out:':{result_width + 1}}  {outputs}"


def _halves(block: Block, is_reduction: bool) -> tuple[str, str]:
    return _half(block.op_a, block.input_a, is_reduction), _half(block.op_b, block.input_b, is_reduction)


def _half(op: str, state: int, is_reduction: bool) -> str:
    stride = "/2" if is_reduction and state < NUM_INPUTS else ""
    return f"{op}({_state_name(state)}){stride}"


def _state_name(state: int) -> str:
    return INPUT_NAMES[state] if state < NUM_INPUTS else f"s{state}"
