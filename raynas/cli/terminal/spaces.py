"""`raynas spaces`: tables of the search spaces, published cells and published networks, with their sizes."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from raynas.cells.published import published_cells
from raynas.cells.space import SPACES, make_space
from raynas.cli.terminal.quantities import short_count
from raynas.models.networks import NETWORKS, on_cifar
from raynas.nn import Complexity

WRAPPED = ("description", "source")
"""Columns of text, which may take several lines on a narrow terminal."""


def print_listing(console: Console) -> None:
    """Prints the three tables."""
    for table in (_spaces(), _cells(), _networks()):
        console.print(table)
        console.print()


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        is_number = column in ("decisions", "architectures", "params", "mult-adds", "pixels")
        table.add_column(column, justify="right" if is_number else "left", no_wrap=column not in WRAPPED)
    return table


def _spaces() -> Table:
    table = _table("search space", "decisions", "architectures", "description")
    for name in SPACES.names():
        space = make_space(name)
        first_line = (type(space).__doc__ or "").strip().partition("\n")[0]
        table.add_row(name, str(len(space.decisions)), f"{float(space.size):.1e}", first_line)
    return table


def _cells() -> Table:
    table = _table("published cell", "arch_id", "params", "mult-adds", "source")
    table.caption = "Sizes: 6 cells per stack, 32 filters, on CIFAR-10."
    table.caption_justify = "left"
    for name, cell in published_cells().items():
        table.add_row(name, cell.genotype.arch_id, *_size(on_cifar(cell.genotype).complexity()), cell.source)
    return table


def _networks() -> Table:
    table = _table("published network", "cell", "pixels", "params", "mult-adds", "source")
    table.caption = "raynas.build(NAME) builds one."
    table.caption_justify = "left"
    for name, network in NETWORKS.items():
        size = _size(network.spec.complexity())
        table.add_row(name, network.cell, str(network.image_size), *size, network.source)
    return table


def _size(cost: Complexity) -> tuple[str, str]:
    return short_count(cost.parameters), short_count(cost.mult_adds)
