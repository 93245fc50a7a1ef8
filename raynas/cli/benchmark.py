"""`raynas benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from raynas.cli.app import SetOption, app, loading, reports_errors
from raynas.config import parse_assignments, without_none


@app.command()
@reports_errors
def benchmark(
    table: Annotated[
        Path | None, typer.Option(help="Parquet or CSV file of trained architectures, a row each.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Their search space: a name, or package.module:ClassName.")
    ] = None,
    arch_column: Annotated[
        str | None,
        typer.Option(help="The architecture, as its authors write it, as JSON, or arch_id.  [default: arch]"),
    ] = None,
    signal: Annotated[
        str | None, typer.Option(help="Column of the accuracy that strategies see: a fraction or percent.")
    ] = None,
    result: Annotated[
        str | None, typer.Option(help="Column of the accuracy that counts, of the best child by signal.")
    ] = None,
    cost: Annotated[str | None, typer.Option(help="Column of the seconds of training.")] = None,
    cost_scale: Annotated[
        float | None, typer.Option(help="Factor on the cost, such as 12/200 epochs = 0.06.  [default: 1]")
    ] = None,
    strategies: Annotated[
        str, typer.Option(help="With commas; LABEL=NAME has one twice, with other options.")
    ] = "ppo,reinforce,random,evolution,local_search",
    seeds: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    first_seed: Annotated[int, typer.Option(min=0, help="They are counted from here.")] = 0,
    budget: Annotated[
        float | None, typer.Option(help="Simulated seconds of each run; what finishes later doesn't count.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Simulated workers.")] = 1,
    equal_cells: Annotated[
        Literal["retrain", "reuse"],
        typer.Option(help="A cell that comes again: charged again, or its score at no cost."),
    ] = "retrain",
    processes: Annotated[
        int | None, typer.Option(min=1, help="Real ones.  [default: one for each CPU]")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="TOML or JSON file with table, space, arch_column, signal, ... in place of options."
        ),
    ] = None,
    format: Annotated[
        Literal["table", "json"], typer.Option(help="How to print it; accuracies are fractions in both.")
    ] = "table",
    report: Annotated[
        Path | None, typer.Option(help="New folder for a report: Markdown, HTML, Parquet.")
    ] = None,
    set_: SetOption = None,
) -> None:
    """Judge strategies on a table of trained architectures, over many seeds, in simulated time.

    Options of a strategy: --set evolution.population=20; of the space: --set space.num_blocks=3.
    """
    with loading(Console(stderr=True)):
        from raynas.cli.terminal.benchmark import run_benchmark
        from raynas.programs.benchmark import BenchmarkSetting
        from raynas.programs.benchmark.recipe import benchmark_recipe

    words = {
        "table": table,
        "space": space,
        "arch_column": arch_column,
        "signal": signal,
        "result": result,
        "cost": cost,
        "cost_scale": cost_scale,
        "budget": budget,
    }
    chosen = benchmark_recipe(recipe, without_none(words))
    run_benchmark(
        chosen,
        BenchmarkSetting(chosen.budget, workers=workers, equal_cells=equal_cells),
        strategies=strategies.split(","),
        seeds=range(first_seed, first_seed + seeds),
        processes=processes,
        settings=parse_assignments(set_ or []),
        format=format,
        report=report,
    )
