"""What a researcher asks first about an architecture: how deep, how many shortcuts, of which operations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from raynas.cells.genotype import CellGenotype, Genotype


@dataclass(frozen=True, slots=True)
class Traits:
    """A few numbers that tell two architectures apart."""

    normal_depth: int
    """Blocks on the longest way through the normal cell."""
    reduction_depth: int
    skip_connections: int
    """Operations of both cells that pass their input on as it is."""
    shares: dict[str, float]
    """The operations that occur, the most frequent first, each with its share of all in both cells."""


def traits(genotype: Genotype) -> Traits:
    """The traits of an architecture, both of whose cells count alike."""
    cells = (genotype.normal, genotype.reduction)
    counts = Counter(op for cell in cells for block in cell.blocks for op in (block.op_a, block.op_b))
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Traits(
        normal_depth=_depth(genotype.normal),
        reduction_depth=_depth(genotype.reduction),
        skip_connections=counts["identity"],
        shares={op: count / total for op, count in ordered},
    )


def _depth(cell: CellGenotype) -> int:
    depths = [0] * cell.num_inputs
    for block in cell.blocks:
        depths.append(1 + max(depths[block.input_a], depths[block.input_b]))
    return max(depths)
