"""The stages of an automatic run, each carried out by the program that users call for it, new or resumed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raynas.cells.genotype import Genotype
from raynas.cells.published import published_cell
from raynas.cells.space import make_space
from raynas.data import ImageSplit
from raynas.files import JOURNAL_FILE, LAST_MODEL_FOLDER, TRAINING_FILE
from raynas.models.folder import is_model
from raynas.programs.auto.config import AutoConfig, AutoState
from raynas.programs.auto.folder import PROMOTION, SEARCH, WINNER
from raynas.programs.auto.pace import num_reductions
from raynas.programs.auto.plan import SPARE
from raynas.programs.promote import prepare_promotion
from raynas.programs.search.execute import execute
from raynas.programs.search.prepare import PreparedSearch, prepare_search
from raynas.programs.search.result import SearchResult
from raynas.programs.train.prepare import PreparedTraining, prepare_training
from raynas.programs.train.reference import prepare_reference, train_reference
from raynas.programs.train.train import train_prepared
from raynas.run.events import Origin
from raynas.run.lookup import FoundCell, find_cell
from raynas.run.recorded import RecordedRun
from raynas.run.records import RunListener
from raynas.training.final_config import ClassifierSummary

RECIPE = "small_final"
REFERENCE = "resnet18"
MIN_HOURS = 1e-6
"""What a stage gets whose time is over: it hands out one child for each worker, and no more."""

Report = Callable[[str, ClassifierSummary], None]
"""Called with a network's name and an epoch's summary."""


def run_search(
    folder: Path, state: AutoState, seconds: float, listeners: Sequence[RunListener]
) -> SearchResult:
    """The search, for so many seconds from now on."""
    config, plan = state.config, state.plan.search
    settings = {
        "data": _data(state) | {"train_images": plan.train_images},
        "network": {"num_reductions": num_reductions(state.images.image_size)},
        "space": {"name": config.space},
        "children": SPARE * plan.children,
        "child": {"epochs": plan.epochs},
        "seed": config.seed,
    }
    prepared = _resumed(folder / SEARCH, config, seconds) or prepare_search(
        out=folder / SEARCH, settings=settings | _surroundings(config, seconds)
    )
    return execute(prepared, listeners=listeners)


def run_promotion(
    folder: Path, state: AutoState, seconds: float, listeners: Sequence[RunListener]
) -> SearchResult:
    """The promotion of the best cells in networks of the final size."""
    config, plan = state.config, state.plan.promotion
    settings = {
        "data": _data(state),
        "network": _network(state),
        "child": {"epochs": plan.epochs},
        "seed": config.seed,
    }
    prepared = _resumed(folder / PROMOTION, config, seconds) or prepare_promotion(
        folder / SEARCH,
        top=plan.top,
        recipe=RECIPE,
        out=folder / PROMOTION,
        settings=settings | _surroundings(config, seconds),
    )
    return execute(prepared, listeners=listeners)


@dataclass(frozen=True)
class Finalist:
    """A network that is trained to the end; `genotype` is None for one that is no cell."""

    name: str
    genotype: Genotype | None
    origin: Origin | None


def finalists(folder: Path, state: AutoState) -> list[Finalist]:
    """The winner of the promotion, then the baselines."""
    winner: FoundCell = find_cell(str(folder / PROMOTION))
    promotion = RecordedRun.read(folder / PROMOTION).started
    # Below the promotion in MLflow, beside the winner.
    origin = Origin(run_id=promotion.run_id, folder=str(folder / PROMOTION))
    return [
        Finalist(WINNER, winner.genotype, winner.origin),
        Finalist(REFERENCE, None, origin),
        Finalist("nasnet_a", published_cell("nasnet_a").genotype, origin),
        Finalist("random", random_cell(state.config), origin),
    ]


def random_cell(config: AutoConfig) -> Genotype:
    """A cell of the search space, drawn by the seed."""
    space = make_space(config.space)
    rng = random.Random(config.seed)
    return space.decode(tuple(rng.randrange(len(decision.choices)) for decision in space.decisions))


def is_trained(folder: Path, name: str) -> bool:
    """Whether a finalist's training has ended: the last model is written at the very end."""
    return is_model(folder / name / LAST_MODEL_FOLDER)


def train_finalist(folder: Path, state: AutoState, finalist: Finalist, report: Report) -> None:
    """Trains one network to the end, or the rest of what an earlier process began."""

    def told(summary: ClassifierSummary) -> None:
        report(finalist.name, summary)

    if finalist.genotype is not None:
        train_prepared(prepared_finalist(folder, state, finalist), report=told)
        return
    # As the winner is trained, which is first.
    like = prepared_finalist(folder, state, finalists(folder, state)[0])
    assert isinstance(like.data, ImageSplit)
    config = like.config.model_copy(update={"origin": finalist.origin})
    train_reference(prepare_reference(finalist.name, config, like.data, folder / finalist.name), report=told)


def prepared_finalist(folder: Path, state: AutoState, finalist: Finalist) -> PreparedTraining:
    """The training of a network of cells, new or resumed."""
    config, out = state.config, folder / finalist.name
    settings = {
        "data": _data(state),
        "network": _network(state),
        "training": {"epochs": state.plan.training.epochs},
        "workers": {"cpus": state.paces.threads},
        "tracking": config.tracking.model_dump(),
        "seed": config.seed,
    }
    if (out / TRAINING_FILE).exists():
        return prepare_training(None, cell=finalist.name, out=out, resume=True, settings={})
    return prepare_training(
        finalist.genotype,
        cell=finalist.name,
        origin=finalist.origin,
        recipe=RECIPE,
        out=out,
        settings=settings,
    )


def _resumed(folder: Path, config: AutoConfig, seconds: float) -> PreparedSearch | None:
    if not (folder / JOURNAL_FILE).is_file():
        return None
    return prepare_search(out=folder, resume=True, settings=_surroundings(config, seconds))


def _surroundings(config: AutoConfig, seconds: float) -> dict[str, Any]:
    """Settings that may change from one process to the next."""
    return {
        "hours": max(seconds / 3600, MIN_HOURS),
        "workers": config.workers.model_dump(),
        "tracking": config.tracking.model_dump(),
    }


def _data(state: AutoState) -> dict[str, Any]:
    # All stages see images of one size: the one for which the paces were measured.
    return state.config.data.model_dump() | {"image_size": state.images.image_size}


def _network(state: AutoState) -> dict[str, Any]:
    return {
        "cells_per_stack": state.plan.cells_per_stack,
        "filters": state.plan.filters,
        "num_reductions": num_reductions(state.images.image_size),
    }
