"""Published cells by name; the files in search_spaces register them here. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass

from raynas.cells.genotype import Genotype
from raynas.cells.space import SPACES
from raynas.errors import UnknownName


@dataclass(frozen=True, slots=True)
class PublishedCell:
    """A cell from a paper."""

    genotype: Genotype
    source: str
    """The paper, and where its numbers were taken from."""


_PUBLISHED: dict[str, PublishedCell] = {}


def publish(name: str, genotype: Genotype, *, source: str) -> Genotype:
    """Registers a published genotype by name, and returns it."""
    _PUBLISHED[name] = PublishedCell(genotype, source)
    return genotype


def published_cells() -> dict[str, PublishedCell]:
    """Published cells by name; imports every file in search_spaces."""
    # A file in search_spaces registers its cells as it is imported, and listing the spaces imports all of
    # them.
    SPACES.names()
    return dict(sorted(_PUBLISHED.items()))


def published_cell(name: str) -> PublishedCell:
    """The published cell called `name`; UnknownName suggests the nearest."""
    known = published_cells()
    if name not in known:
        # Users confuse the two: 'nasnet' is the space, 'nasnet_a' the cell that was found in it.
        is_space = name in SPACES.names()
        hint = (
            f"{name!r} is a search space; 'raynas spaces' lists spaces, cells and networks."
            if is_space
            else ""
        )
        raise UnknownName("published cell", name, known, hint)
    return known[name]
