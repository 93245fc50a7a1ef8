"""Commands that look at what is there: leaderboard, status, spaces, show, ui and doctor."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from raynas.cells.space import published_cells
from raynas.cli.app import AddressOption, RunArgument, app, fail, loading, reports_errors
from raynas.cli.terminal.console import print_architectures, print_leaderboard, table_console
from raynas.cli.terminal.status import print_status, status_json
from raynas.errors import RunFolderError, UsageError
from raynas.files import JOURNAL_FILE
from raynas.run.events import recorded_config
from raynas.run.folder import find_run
from raynas.run.journal import is_being_written, read_events
from raynas.run.leaderboard import Format, final_front, leaderboard, render
from raynas.run.lookup import find_genotype
from raynas.run.records import records_of
from raynas.run.status import driver_state, status_of
from raynas.strategies.rewards.pareto import recorded_trade


@app.command(name="leaderboard")
@reports_errors
def leaderboard_command(
    run: RunArgument = None,
    top: Annotated[int | None, typer.Option(min=1, help="Only the best N.")] = None,
    format: Annotated[Format, typer.Option(help="How to print it.")] = "table",
) -> None:
    """Print a run's children, best first."""
    folder = find_run(run)
    events = read_events(folder / JOURNAL_FILE)
    records, trade = records_of(events), recorded_trade(recorded_config(events))
    entries = leaderboard(records, trade=trade)[:top]
    if format == "table":
        console = table_console()
        console.print(str(folder), markup=False, highlight=False, soft_wrap=True)
        print_leaderboard(
            entries,
            console,
            num_infeasible=sum(record.is_infeasible for record in records),
            hypervolume=final_front(records, trade).hypervolume() if trade else None,
        )
        print_architectures(entries, console)
    else:
        print(render(entries, format))


@app.command()
@reports_errors
def status(
    run: RunArgument = None,
    format: Annotated[Literal["table", "json"], typer.Option(help="How to print it.")] = "table",
) -> None:
    """Print how a run does, from another terminal: children, best, rate, workers' use, time left."""
    folder = find_run(run)
    path, now = folder / JOURNAL_FILE, time.time()
    is_locked = is_being_written(path)
    events = read_events(path)
    driver = driver_state(events, is_locked=is_locked, host=socket.gethostname())
    found = status_of(events, now=now, driver=driver)
    if format == "table":
        print_status(found, folder, Console(), now=now)
    else:
        print(status_json(found, folder))


@app.command()
@reports_errors
def spaces() -> None:
    """List search spaces, published cells and published networks, with their sizes."""
    from raynas.cli.terminal.spaces import print_listing

    print_listing(Console())


@app.command()
@reports_errors
def show(
    cell: Annotated[str | None, typer.Argument(help="A published cell, a JSON file or an arch_id.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run to look arch_ids up in.  [default: the newest]")
    ] = None,
    format: Annotated[Literal["text", "svg", "png", "json"], typer.Option(help="What to draw.")] = "text",
    out: Annotated[Path | None, typer.Option(help="File.  [default: the terminal; PNG: ARCH_ID.png]")] = None,
) -> None:
    """Draw a cell; without an argument, the best of the newest run."""
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


@app.command()
@reports_errors
def ui(
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    port: Annotated[int, typer.Option(help="On 127.0.0.1.")] = 5000,
) -> None:
    """Open the MLflow UI over the default store, on 127.0.0.1."""
    store = runs / "mlflow.db"
    if not store.is_file():
        raise RunFolderError(f"There is no {store}. Run 'raynas search' first, or give --runs.")
    with loading(Console()):
        from raynas.tracking.store import runs_page

    print(f"The runs: http://127.0.0.1:{port}{runs_page(store)}", flush=True)
    words = ["mlflow", "ui", "--backend-store-uri", f"sqlite:///{store.resolve()}", "--host", "127.0.0.1"]
    os.execv(sys.executable, [sys.executable, "-m", *words, "--port", str(port)])


@app.command()
@reports_errors
def doctor(
    data: Annotated[str, typer.Option(help="Data set to look at.")] = "digits",
    address: AddressOption = None,
    out: Annotated[Path, typer.Option(help="Folder that runs are to be written below.")] = Path("runs"),
) -> None:
    """Check cluster, GPUs, data, tracking server and storage: what is wrong and what to do."""
    from raynas.cli.terminal.doctor import examine

    console = Console()
    findings = 0
    for check in examine(data=data, address=address, runs=out):
        console.print("[green]ok[/]     " if check.is_ok else "[red]PROBLEM[/]", end="", highlight=False)
        console.print(f" {check.name}: {check.message}", markup=False, highlight=False, soft_wrap=True)
        findings += not check.is_ok
    if findings:
        fail(f"{findings} problem{'s' if findings > 1 else ''} found.", 1)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}.") from error
