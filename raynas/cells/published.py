"""Cells from papers, found by name; the files in search_spaces publish them. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass

from raynas.cells.genotype import Genotype
from raynas.cells.space import SPACES
from raynas.errors import UnknownName


@dataclass(frozen=True, slots=True)
class PublishedCell:
    """A cell from a paper, found by name."""

    genotype: Genotype
    source: str


_PUBLISHED: dict[str, PublishedCell] = {}


def publish(name: str, genotype: Genotype, *, source: str) -> Genotype:
    """Makes a published genotype known by name and returns it."""
    _PUBLISHED[name] = PublishedCell(genotype, source)
    return genotype


def published_cells() -> dict[str, PublishedCell]:
    """Published cells by name; imports every file in search_spaces."""
    SPACES.names()
    return dict(sorted(_PUBLISHED.items()))


def published_cell(name: str) -> PublishedCell:
    known = published_cells()
    if name not in known:
        is_space = name in SPACES.names()
        hint = (
            f"{name!r} is a search space; 'raynas spaces' lists spaces, cells and networks."
            if is_space
            else ""
        )
        raise UnknownName("published cell", name, known, hint)
    return known[name]
