"""`raynas ui`."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from raynas.cli.app import app, reports_errors
from raynas.cli.terminal.console import loading, message_console
from raynas.errors import RunFolderError


@app.command()
@reports_errors
def ui(
    runs: Annotated[Path, typer.Option(help="Folder that holds the runs.")] = Path("runs"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
    browser: Annotated[
        bool | None,
        typer.Option(help="Open the cells in a browser.", show_default="on a desktop"),
    ] = None,
) -> None:
    """Start the MLflow UI for the runs in a folder, on 127.0.0.1, and print links to its pages."""
    store = runs / "mlflow.db"
    if not store.is_file():
        raise RunFolderError(
            f"There is no {store}. Run 'raynas search' first, or name another folder with --runs."
        )
    with loading(message_console()):
        from raynas.tracking.ui_pages import ui_pages
        from raynas.tracking.ui_server import UiServer

        server = UiServer(store, port)
        pages = ui_pages(store)
    with server:
        server.wait_until_ready()
        if pages.children and pages.charts:
            print(f"Cells, best first:   {server.address}{pages.children}")
            print(f"Cells as pictures:   {server.address}{pages.charts}")
        print(f"All runs:            {server.address}{pages.runs}")
        print("Ctrl-C ends it.", flush=True)
        if browser or (browser is None and _is_desktop()):
            webbrowser.open(server.address + (pages.children or pages.runs))
        server.wait()


def _is_desktop() -> bool:
    """Whether a person sits at a screen of this machine, and not at the other end of an SSH connection."""
    if not sys.stdout.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in ("darwin", "win32") or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())
