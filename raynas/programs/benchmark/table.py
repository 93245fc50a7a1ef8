"""A table of trained architectures, in memory: what a strategy proposes is found in it. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from raynas.cells.genotype import Genotype
from raynas.cells.space import Actions, SearchSpace

Naming = Literal["text", "arch_id"]


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one architecture."""

    index: int
    """Of the row in the file, from 0."""
    name: str
    """As the table calls the architecture."""
    signal: float
    """A fraction."""
    result: float
    """A fraction."""
    cost: float
    """Simulated seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows by the names of their architectures; see `SearchSpace.to_text`."""

    space: SearchSpace
    naming: Naming
    """Whether rows are called by the space's text or by their arch_id."""
    rows: Mapping[str, Row]
    _found: dict[Actions, Row | None] = field(default_factory=dict, repr=False)

    def find(self, actions: Sequence[int]) -> Row | None:
        """The row of what `actions` describe; None if the table hasn't it."""
        key = tuple(actions)
        if key not in self._found:
            self._found[key] = self.rows.get(name_of(self.space, self.space.decode(key), self.naming))
        return self._found[key]

    @property
    def best_signal(self) -> Row:
        """What a perfect optimiser of the signal would end with."""
        return max(self.rows.values(), key=lambda row: row.signal)

    @property
    def best_result(self) -> float:
        """Regret is measured from here."""
        return max(row.result for row in self.rows.values())

    @property
    def dearest(self) -> float:
        """Simulated seconds of the architecture that takes longest."""
        return max(row.cost for row in self.rows.values())


def name_of(space: SearchSpace, genotype: Genotype, naming: Naming) -> str:
    return genotype.arch_id if naming == "arch_id" else space.to_text(genotype)
