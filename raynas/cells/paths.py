"""The operations of a cell along its paths, the same for every way to write the cell. Pure Python.

A path leads from an input to an output of the cell. Identities leave no trace in it, and nothing passes
through a "none", so that cells which compute the same in different ways look alike.

White, Neiswanger, Savani, "BANANAS" (arXiv 1910.11858), section 3, describe cells by their paths.
"""

from __future__ import annotations

from collections import Counter

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype

Path = tuple[int | str, ...]
"""The number of an input, unless the path is cut, and the operations on the way from there."""
MAX_BLOCKS_IN_FULL = 6
"""Cells with more blocks may have thousands of paths, of which only the ends are told apart."""
END = 3
"""Number of operations at the end of a path that are told apart then."""


def path_counts(cell: CellGenotype) -> Counter[Path]:
    """How often each path leads from an input to an output.

    In a cell of more than MAX_BLOCKS_IN_FULL blocks, paths with the same last END operations count as one.
    """
    is_cut = len(cell.blocks) > MAX_BLOCKS_IN_FULL
    reaching: list[dict[Path, int]] = [{(state,): 1} for state in range(cell.num_inputs)]
    for block in cell.blocks:
        paths: dict[Path, int] = {}
        for source, op in _halves(block):
            if op != "none":
                step = () if op == "identity" else (op,)
                for path, count in reaching[source].items():
                    longer = path + step
                    # A slice from -END on keeps the whole of a shorter path, its input included.
                    longer = longer[-END:] if is_cut else longer
                    paths[longer] = paths.get(longer, 0) + count
        reaching.append(paths)
    found: Counter[Path] = Counter()
    for state in cell.concat:
        found.update(reaching[state])
    return found


def operation_counts(cell: CellGenotype) -> Counter[str]:
    """How often each operation occurs between an input and an output, without identities and "none"."""
    fed = set(range(cell.num_inputs))
    for state, block in enumerate(cell.blocks, start=cell.num_inputs):
        if any(op != "none" and source in fed for source, op in _halves(block)):
            fed.add(state)
    counts: Counter[str] = Counter()
    used = set(cell.concat)
    # Backwards: whether a block's output is used is known once all later blocks have been seen.
    for state in range(cell.num_states - 1, cell.num_inputs - 1, -1):
        for source, op in _halves(cell.blocks[state - cell.num_inputs]) if state in used else ():
            if op != "none" and source in fed:
                used.add(source)
                counts[op] += op != "identity"
    return +counts


def _halves(block: Block) -> tuple[tuple[int, str], tuple[int, str]]:
    return (block.input_a, block.op_a), (block.input_b, block.op_b)
