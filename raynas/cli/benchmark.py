"""`raynas benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from raynas.cli.app import app, reports_errors
from raynas.cli.terminal.console import loading, message_console
from raynas.config import parse_assignments, without_none


@app.command(name="benchmark")
@reports_errors
def benchmark_command(
    table: Annotated[
        Path | None, typer.Option(help="Parquet or CSV file with one trained architecture per row.")
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(help="Search space of the table: a registered name or package.module:ClassName."),
    ] = None,
    arch_column: Annotated[
        str | None,
        typer.Option(
            help="Column of architectures: their authors' notation, JSON or arch_ids.", show_default="arch"
        ),
    ] = None,
    signal: Annotated[
        str | None,
        typer.Option(help="Column of the accuracy that strategies see, as a fraction or in percent."),
    ] = None,
    result: Annotated[
        str | None, typer.Option(help="Column of the accuracy to report for the child with the best signal.")
    ] = None,
    cost: Annotated[str | None, typer.Option(help="Column of the training time in seconds.")] = None,
    cost_scale: Annotated[
        float | None,
        typer.Option(help="Factor on the cost, such as 0.06 for 12 of 200 epochs.", show_default="1"),
    ] = None,
    strategies: Annotated[
        str,
        typer.Option(
            help="Names separated by commas. LABEL=NAME lists one a second time, with other options."
        ),
    ] = "ppo,reinforce,random,evolution,local_search",
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 50,
    first_seed: Annotated[int, typer.Option(min=0, help="First of the consecutive seeds.")] = 0,
    budget: Annotated[
        list[float] | None,
        typer.Option(
            help="Simulated seconds per run. Children that finish later don't count. Repeatable: the table "
            "then shows the runs after each."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of simulated workers.")] = 1,
    equal_cells: Annotated[
        Literal["retrain", "reuse"],
        typer.Option(help="What a repeated cell costs: its time again (retrain) or nothing (reuse)."),
    ] = "retrain",
    processes: Annotated[
        int | None, typer.Option(min=1, help="Number of real processes.", show_default="one per CPU")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="Benchmark recipe: a TOML or JSON file with table, space, arch_column, signal, ..."
        ),
    ] = None,
    format: Annotated[
        Literal["table", "json"], typer.Option(help="Output format. Accuracies are fractions in both.")
    ] = "table",
    report: Annotated[
        Path | None,
        typer.Option(
            help="New folder for a report in HTML, Markdown and Parquet. Each run's result is kept there as "
            "soon as it is known."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the benchmark in --report, with the same settings."),
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="STRATEGY.OPTION=VALUE or space.OPTION=VALUE. Repeatable."),
    ] = None,
) -> None:
    """Compare strategies on a table of trained architectures, over many seeds, in simulated time.

    While it runs, each strategy has a line with its finished seeds and their mean result. With --report, a
    benchmark that was interrupted goes on: the same command and --resume.

    Options of a strategy: --set evolution.population=20. Options of the space: --set space.num_blocks=3.
    """
    with loading(message_console()):
        from raynas.cli.terminal.benchmark import run_benchmark
        from raynas.programs.benchmark import BenchmarkSetting
        from raynas.programs.benchmark.recipe import benchmark_recipe

    options = {
        "table": table,
        "space": space,
        "arch_column": arch_column,
        "signal": signal,
        "result": result,
        "cost": cost,
        "cost_scale": cost_scale,
    }
    # Each budget is a recipe's, which checks it; the last one is the largest.
    budgets = sorted(set(budget)) if budget else [None]
    *smaller, chosen = [
        benchmark_recipe(recipe, without_none({**options, "budget": seconds})) for seconds in budgets
    ]
    run_benchmark(
        chosen,
        BenchmarkSetting(
            chosen.budget,
            workers=workers,
            equal_cells=equal_cells,
            smaller_budgets=tuple(one.budget for one in smaller),
        ),
        strategies=strategies.split(","),
        seeds=range(first_seed, first_seed + seeds),
        processes=processes,
        settings=parse_assignments(set_ or []),
        format=format,
        report=report,
        resume=resume,
    )
