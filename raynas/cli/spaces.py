"""`raynas spaces`."""

from __future__ import annotations

from raynas.cli.app import app, reports_errors
from raynas.cli.terminal.console import output_console


@app.command()
@reports_errors
def spaces() -> None:
    """List the search spaces, published cells and published networks, with their sizes."""
    from raynas.cli.terminal.spaces import print_listing

    print_listing(output_console())
