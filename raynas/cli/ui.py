"""`raynas ui`."""

from __future__ import annotations

import os
import sys
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
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Start the MLflow UI for the runs in a folder, on 127.0.0.1."""
    store = runs / "mlflow.db"
    if not store.is_file():
        raise RunFolderError(
            f"There is no {store}. Run 'raynas search' first, or name another folder with --runs."
        )
    with loading(message_console()):
        from raynas.tracking.store import runs_page, sqlite_uri

    print(f"The runs: http://127.0.0.1:{port}{runs_page(store)}", flush=True)
    arguments = ["mlflow", "ui", "--backend-store-uri", sqlite_uri(store.resolve()), "--host", "127.0.0.1"]
    os.execv(sys.executable, [sys.executable, "-m", *arguments, "--port", str(port)])
