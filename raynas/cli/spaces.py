"""`raynas spaces`."""

from __future__ import annotations

from rich.console import Console

from raynas.cli.app import app, reports_errors


@app.command()
@reports_errors
def spaces() -> None:
    """List search spaces, published cells and published networks, with their sizes."""
    from raynas.cli.terminal.spaces import print_listing

    print_listing(Console())
