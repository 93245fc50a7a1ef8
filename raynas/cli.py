"""The command line. Exit codes: 0 done, 1 the run failed, 2 bad usage, 130 interrupted."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import typer
from rich.console import Console

from raynas.cells import find_genotype
from raynas.config import merged, parse_assignments, without_none
from raynas.console import print_architectures, print_leaderboard
from raynas.errors import RaynasError, RunFolderError, UsageError
from raynas.journal import FILE_NAME, read_events
from raynas.leaderboard import Format, leaderboard, render
from raynas.run import records_of
from raynas.run_folder import find_run
from raynas.space import published_cells

app = typer.Typer(
    name="raynas",
    help="Search for convolutional cells with a reinforcement-learning controller on a Ray cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Command = TypeVar("Command", bound=Callable[..., Any])
RunArgument = Annotated[Path | None, typer.Argument(help="Run folder; the newest below runs/ if left out.")]


def _reports_errors(command: Command) -> Command:
    """Turns a user's mistake into a message and an exit code; anything else keeps its traceback."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except RaynasError as error:
            _fail(str(error), 2 if isinstance(error, UsageError) else 1)
        except BrokenPipeError:
            # The reader, such as head, has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return wrapped  # type: ignore[return-value]


@app.command()
@_reports_errors
def search(
    data: Annotated[
        str | None, typer.Option(help="'digits', Parquet files, or a folder of class folders.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Search space: a name, or package.module:ClassName.")
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="ppo, random, or package.module:ClassName.")] = None,
    children: Annotated[int | None, typer.Option(help="Architectures to try.  [default: 24]")] = None,
    workers: Annotated[str | None, typer.Option(help="Workers in all, or 'auto'.  [default: auto]")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs per child.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder.  [default: a new one below runs/]")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of controller, data split and children.  [default: 0]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, or with the newest.")
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster; left out: RAY_ADDRESS, or this machine.")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="Where unset options come from: small, nasnet_paper, cifar_final.")
    ] = "small",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, such as child.batch_size=128.")
    ] = None,
) -> None:
    """Search for a cell: train children, learn from their accuracy, print the leaderboard."""
    console = Console()
    with _loading(console):
        from raynas.running import run_on_terminal
        from raynas.search import prepare_search

    prepared = prepare_search(
        data=data,
        space=space,
        strategy=strategy,
        children=children,
        workers=_worker_count(workers),
        epochs=epochs,
        out=out,
        seed=seed,
        resume=resume,
        recipe=recipe,
        settings=parse_assignments(set_ or []),
    )
    config = prepared.config
    what = f"search: space {config.space.name}, strategy {config.strategy.name}"
    run_on_terminal(prepared, console, what=what, address=address)


@app.command()
@_reports_errors
def promote(
    run: RunArgument = None,
    top: Annotated[int, typer.Option(min=1, help="How many of its cells, best first.")] = 250,
    repeats: Annotated[int, typer.Option(min=1, help="Trainings of each, with different seeds.")] = 1,
    recipe: Annotated[str, typer.Option(help="How they are trained.")] = "cifar_final",
    epochs: Annotated[int | None, typer.Option(help="Epochs per child.  [default: the recipe's]")] = None,
    workers: Annotated[str | None, typer.Option(help="Workers in all, or 'auto'.  [default: auto]")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder.  [default: a new one below runs/]")] = None,
    seed: Annotated[int | None, typer.Option(help="Of data split and children.  [default: 0]")] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster; left out: RAY_ADDRESS, or this machine.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, such as network.filters=36.")
    ] = None,
) -> None:
    """Train the best cells of a run longer, to choose the winner; 'search --resume' goes on with it."""
    console = Console()
    with _loading(console):
        from raynas.promote import prepare_promotion
        from raynas.running import run_on_terminal

    words = {"child": {"epochs": epochs}, "workers": {"count": _worker_count(workers)}, "seed": seed}
    settings = merged(without_none(words), parse_assignments(set_ or []))
    prepared = prepare_promotion(run, top=top, repeats=repeats, recipe=recipe, out=out, settings=settings)
    what = f"promote: the best {prepared.config.children // repeats} cells of {find_run(run)}"
    run_on_terminal(prepared, console, what=what, address=address)


@app.command()
@_reports_errors
def train(
    what: Annotated[
        str | None,
        typer.Argument(help="A published cell or network, a run (its best cell), or JSON."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="'digits', Parquet files, a folder of class folders, or a URI.")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="cifar_final, imagenet_mobile, imagenet_large or imagenet_today.")
    ] = "cifar_final",
    workers: Annotated[
        str | None, typer.Option(help="Workers in all, over all nodes, or 'auto'.  [default: auto]")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs.  [default: the recipe's]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per update, over all workers.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder.  [default: a new one below runs/]")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and order of images.  [default: 0]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in --out.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    images_per_second: Annotated[
        float | None, typer.Option(min=0.001, help="Of one worker: the plan then says how long it takes.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster; left out: RAY_ADDRESS, or this machine.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, such as training.accumulate=2.")
    ] = None,
) -> None:
    """Train one cell's network to the end, on one machine or many; the result can be exported."""
    console = Console()
    with _loading(console):
        from raynas.train_command import run_train

    words = {
        "data": {"source": data},
        "workers": {"count": _worker_count(workers)},
        "training": {"epochs": epochs, "batch_size": batch_size},
        "seed": seed,
    }
    run_train(
        what,
        recipe=recipe,
        settings=merged(without_none(words), parse_assignments(set_ or [])),
        out=out,
        resume=resume,
        is_dry=dry_run,
        images_per_second=images_per_second,
        address=address,
        console=console,
    )


@app.command(name="leaderboard")
@_reports_errors
def leaderboard_command(
    run: RunArgument = None,
    top: Annotated[int | None, typer.Option(min=1, help="Only the best N.")] = None,
    format: Annotated[Format, typer.Option(help="How to print it.")] = "table",
) -> None:
    """Print a run's children, best first."""
    folder = find_run(run)
    records = records_of(read_events(folder / FILE_NAME))
    entries = leaderboard(records)[:top]
    if format == "table":
        console = Console()
        console.print(f"{folder}", highlight=False)
        print_leaderboard(entries, console, num_infeasible=sum(record.is_infeasible for record in records))
        print_architectures(entries, console)
    else:
        print(render(entries, format))


@app.command()
@_reports_errors
def spaces() -> None:
    """List search spaces, published cells and published networks, with their sizes."""
    from raynas.listing import print_listing

    print_listing(Console())


@app.command()
@_reports_errors
def show(
    cell: Annotated[str | None, typer.Argument(help="A published cell, a JSON file or an arch_id.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run to look arch_ids up in.  [default: the newest]")
    ] = None,
    format: Annotated[Literal["text", "svg", "png", "json"], typer.Option(help="What to draw.")] = "text",
    out: Annotated[Path | None, typer.Option(help="File.  [default: the terminal; PNG: ARCH_ID.png]")] = None,
) -> None:
    """Draw a cell; without an argument, the best of the newest run."""
    from raynas.draw import genotype_png, genotype_svg, genotype_text

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
@_reports_errors
def export(
    what: Annotated[
        str, typer.Argument(help="Folder of a trained network or of its run, or a published network's name.")
    ],
    format: Annotated[Literal["onnx", "pt2", "safetensors"], typer.Option(help="What to write.")] = "onnx",
    out: Annotated[
        Path | None, typer.Option(help="File; its card and picture come beside it.  [default: NAME.FORMAT]")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Of a published network: a file, or timm:TAG such as timm:tf_in1k.")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Of a published network: none, to try things out.")
    ] = False,
    num_classes: Annotated[
        int | None, typer.Option(min=1, help="That --weights have.  [default: as published]")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Pixels per side.  [default: as trained or published]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a trained network as a file that runs without raynas, and a model card beside it."""
    from raynas.export_command import Source, run_export

    source = Source(what, weights, random_weights, num_classes, image_size)
    run_export(source, format, out, force=force, console=Console())


@app.command()
@_reports_errors
def doctor(
    data: Annotated[str, typer.Option(help="Data set to look at.")] = "digits",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster; left out: RAY_ADDRESS, or this machine.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that runs are to be written below.")] = Path("runs"),
) -> None:
    """Check cluster, GPUs, data, tracking server and storage: what is wrong and what to do."""
    from raynas.doctor import examine

    console = Console()
    findings = 0
    for check in examine(data=data, address=address, runs=out):
        mark = "[green]ok[/]     " if check.is_ok else "[red]PROBLEM[/]"
        console.print(f"{mark} {check.name}: ", end="", highlight=False)
        console.print(check.message, markup=False, highlight=False, soft_wrap=True)
        findings += not check.is_ok
    if findings:
        _fail(f"{findings} problem{'s' if findings > 1 else ''} found.", 1)


@app.command()
@_reports_errors
def convert(
    source: Annotated[
        str, typer.Argument(help="A folder of class folders, a tar file, or a folder of those.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder for the shards: new or empty.")],
    shard_mb: Annotated[int, typer.Option(min=1, help="Megabytes per shard, about.")] = 256,
    classes: Annotated[
        Path | None, typer.Option(help="Class folders in the order of labels, one per line, or JSON.")
    ] = None,
) -> None:
    """Turn images into Parquet shards that can be streamed."""
    from raynas.convert_command import run_convert

    run_convert(source, out, shard_mb=shard_mb, classes=classes, console=Console())


@app.command()
@_reports_errors
def ui(
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    port: Annotated[int, typer.Option(help="On 127.0.0.1.")] = 5000,
) -> None:
    """Open the MLflow UI over the default store, on 127.0.0.1."""
    store = runs / "mlflow.db"
    if not store.is_file():
        raise RunFolderError(f"There is no {store}. Run 'raynas search' first, or give --runs.")
    words = ["mlflow", "ui", "--backend-store-uri", f"sqlite:///{store.resolve()}", "--host", "127.0.0.1"]
    os.execv(sys.executable, [sys.executable, "-m", *words, "--port", str(port)])


def main() -> None:
    """The `raynas` command."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # A job started in the background of a script inherits Ctrl-C as ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # As with `python -m`: a class of the user's own may lie in a file in this folder.
    sys.path.insert(0, os.getcwd())
    app()


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}.") from error


def _loading(console: Console) -> contextlib.AbstractContextManager[object]:
    return console.status("Loading ...") if console.is_terminal else contextlib.nullcontext()


def _worker_count(text: str | None) -> int | str | None:
    if text is None or text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--workers {text!r} is neither a number of at least 1 nor 'auto'.")
    return int(text)


def _fail(message: str, code: int) -> NoReturn:
    Console(stderr=True).print(
        f"Error: {message}", style="red", markup=False, highlight=False, soft_wrap=True
    )
    raise typer.Exit(code)
