"""A table of trained architectures in memory, in which proposals are looked up. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from raynas.cells.genotype import Genotype
from raynas.cells.space import Actions, SearchSpace

Naming = Literal["text", "arch_id"]


@dataclass(frozen=True, slots=True)
class Row:
    """One trained architecture."""

    index: int
    """Number of the row in the file, from 0."""
    name: str
    """What the table calls the architecture."""
    signal: float
    """Accuracy that the search sees, a fraction."""
    result: float
    """Accuracy by which the search is judged, a fraction."""
    cost: float
    """Simulated seconds of training."""


@dataclass(frozen=True, slots=True, eq=False)
class ArchTable:
    """Rows by the names of their architectures."""

    space: SearchSpace
    naming: Naming
    """Whether names are `SearchSpace.to_text` of the architecture or its arch_id."""
    rows: Mapping[str, Row]
    _found: dict[Actions, Row | None] = field(default_factory=dict, repr=False)

    def find(self, actions: Sequence[int]) -> Row | None:
        """The row of the architecture that `actions` describe, or None if the table doesn't have it."""
        key = tuple(actions)
        if key not in self._found:
            self._found[key] = self.rows.get(name_in_table(self.space, self.space.decode(key), self.naming))
        return self._found[key]

    @property
    def best_signal(self) -> Row:
        """The row with the highest signal, which a perfect optimiser of the signal would find."""
        return max(self.rows.values(), key=lambda row: row.signal)

    @property
    def best_result(self) -> float:
        """The highest result of the table; regret is the distance from it."""
        return max(row.result for row in self.rows.values())

    @property
    def highest_cost(self) -> float:
        """Simulated seconds of the architecture that takes longest."""
        return max(row.cost for row in self.rows.values())


def name_in_table(space: SearchSpace, genotype: Genotype, naming: Naming) -> str:
    """The name under which a table with this kind of names lists the genotype."""
    return genotype.arch_id if naming == "arch_id" else space.to_text(genotype)
