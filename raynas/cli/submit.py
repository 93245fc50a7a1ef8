"""`raynas submit`: launchers/submit.py, which reads its options itself."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from raynas.cli.app import app, examples, reports_errors


class Unread(TyperCommand):
    """A command whose words, with '--' and --help among them, are left in the context as they are."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = list(args)
        super().parse_args(ctx, [])
        ctx.args = words
        return words


@app.command(
    cls=Unread,
    add_help_option=False,
    epilog=examples(
        "raynas submit -- search --data /mnt/data --out /mnt/runs/one",
        "raynas submit --follow JOB",
        "raynas submit --help",
    ),
)
@reports_errors
def submit(ctx: typer.Context) -> None:
    """Run a raynas command as a job of a Ray cluster, and follow its log."""
    from raynas.cli.terminal.launchers import SUBMIT_FILE, launchers_folder

    folder = launchers_folder()
    # Its neighbours are imported by the names that they have beside it.
    sys.path.insert(0, str(folder))
    program = importlib.import_module(Path(SUBMIT_FILE).stem)
    raise typer.Exit(program.main(ctx.args, program="raynas submit"))
