"""`raynas show`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from raynas.cells.published import published_cells
from raynas.cli.app import app, reports_errors
from raynas.errors import UsageError
from raynas.run.lookup import find_genotype


@app.command()
@reports_errors
def show(
    cell: Annotated[
        str | None,
        typer.Argument(help="Name of a published cell, folder of a run, JSON file, or start of an arch_id."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run in which to look up an arch_id.", show_default="the newest")
    ] = None,
    format: Annotated[Literal["text", "svg", "png", "json"], typer.Option(help="Output format.")] = "text",
    out: Annotated[
        Path | None, typer.Option(help="Output file.", show_default="the terminal, or ARCH_ID.png for PNG")
    ] = None,
) -> None:
    """Draw a cell. Without an argument, draw the best cell of the newest run."""
    from raynas.cells.draw import genotype_png, genotype_svg, genotype_text

    genotype = find_genotype(cell, run)
    title = cell if cell in published_cells() else genotype.arch_id
    if format == "png":
        path = out or Path(f"{genotype.arch_id}.png")
        _write(path, genotype_png(genotype, title=title or ""))
        print(path)
        return
    texts = {
        "text": lambda: genotype_text(genotype),
        "svg": lambda: genotype_svg(genotype, title=title or ""),
        "json": lambda: genotype.to_json() + "\n",
    }
    text = texts[format]()
    if out is None:
        sys.stdout.write(text)
    else:
        _write(out, text.encode())
        print(out)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}.") from error
