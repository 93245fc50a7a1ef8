"""Promotion: the best cells of a run trained longer. A search whose proposals are a fixed list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raynas.config import merged, nested, suggests_arguments
from raynas.errors import RunFolderError
from raynas.programs.search.execute import execute
from raynas.programs.search.prepare import PreparedSearch, check_can_begin
from raynas.programs.search.recipes import search_config
from raynas.programs.search.result import SearchResult
from raynas.programs.search.shown import shown_progress
from raynas.run.folder import find_run, new_run_folder
from raynas.run.recorded import RecordedRun
from raynas.run.records import RunListener

STRATEGY = "raynas.strategies.listed:Listed"


def prepare_promotion(
    run: str | Path | None = None,
    *,
    top: int = 250,
    repeats: int = 1,
    recipe: str = "small_final",
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> PreparedSearch:
    """Prepares the training of a run's best cells; `raynas.programs.search.execute.execute` starts it.

    Args:
        run: Folder of a search, finished or not. Defaults to the newest.
        top: Number of different cells, best first; fewer if the run has fewer.
        repeats: Number of trainings of each, with seeds of their own.
        recipe: Name of the search recipe by which they are trained.
        out: The promotion's own run folder. Defaults to a new one below runs/.
        settings: Fields of SearchConfig laid over the recipe.

    Raises:
        RunFolderError: there is no such run, or none of its children has a score.
        UsageError: a setting can't be used.
    """
    source = RecordedRun.read(find_run(Path(run) if run is not None else None))
    architectures = best_architectures(source, top)
    if not architectures:
        raise RunFolderError(f"No child of {source.folder} has a score yet, so there is nothing to promote.")
    overrides = {
        "space": source.started.config.get("space"),
        "data": source.started.config.get("data"),
        "strategy": {"name": STRATEGY, "architectures": architectures},
        "origin": {"run_id": source.started.run_id, "folder": str(source.folder)},
        "children": len(architectures) * repeats,
        # Each repeat is a training of its own.
        "equal_cells": "retrain",
    }
    config = search_config(recipe, merged(overrides, nested(settings or {})))
    # Made only to check the list of architectures before anything is started.
    config.make_strategy(config.make_space())
    target = Path(out) if out is not None else new_run_folder(config.space.name, "promotion")
    check_can_begin(target, config)
    return PreparedSearch(target, config)


def best_architectures(run: RecordedRun, top: int) -> list[tuple[int, ...]]:
    """The actions of the `top` best different cells, in the leaderboard's order.

    A cell that was proposed in two ways, such as with the halves of a block exchanged, is listed once.
    """
    best: dict[str, tuple[int, ...]] = {}
    for entry in run.entries:
        if entry.reward is not None:
            best.setdefault(entry.arch_id, run.records[entry.child].proposed.actions)
    return list(best.values())[:top]


@suggests_arguments
def promote(
    run: str | Path | None = None,
    *,
    top: int = 250,
    repeats: int = 1,
    recipe: str = "small_final",
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    address: str | None = None,
    listeners: Sequence[RunListener] = (),
    progress: bool | None = None,
) -> SearchResult:
    """Trains the best cells of a run longer, to choose the winner; `raynas promote` as a function.

        result = raynas.promote("runs/mine", top=10, repeats=3, settings={"child.epochs": 100})

    To continue an interrupted promotion, call `raynas.run_search(out=..., resume=True)`.

    Args:
        run: folder of a search, finished or not; defaults to the newest run.
        top: number of different cells, best first; fewer if the run has fewer.
        repeats: number of trainings of each cell, with different seeds.
        recipe: the settings to start from, as in `raynas.run_search`.
        out: the promotion's own run folder; defaults to a new one below runs/.
        settings: fields of SearchConfig, nested or dotted; they take precedence over the recipe.
        address: address of a Ray cluster; defaults to RAY_ADDRESS, or else Ray is started on this machine.
        listeners: objects that are called at every event of the promotion.
        progress: whether to show the progress; None means in a notebook and on a terminal.
    Raises:
        UsageError: an argument can't be used, or none of the run's children has a score.
        SearchFailed, KeyboardInterrupt: as in `raynas.run_search`.
    """
    promotion = prepare_promotion(run, top=top, repeats=repeats, recipe=recipe, out=out, settings=settings)
    with shown_progress(promotion.config.children, is_asked=progress) as shown:
        return execute(promotion, address=address, listeners=[*listeners, *shown])
