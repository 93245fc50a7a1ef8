"""Configs, as assignments of `--set` and as recorded in a journal or in training.json."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from raynas.cells.published import published_cell
from raynas.cells.space import SPACES
from raynas.config import FrozenModel, parse_assignments, validated
from raynas.programs.search.config import SearchConfig, resumed_search_config
from raynas.programs.search.recipes import RECIPES, search_config
from raynas.programs.train.config import TrainConfig
from raynas.programs.train.recipes import TRAIN_RECIPES, train_config
from tests.fuzz.mutate import RAW, VALUES, mutated_json, mutated_text
from tests.fuzz.seeds import SPACE, STRATEGIES
from tests.fuzz.trial import Attempt

CELL = {"cell": "nasnet_a", "genotype": published_cell("nasnet_a").genotype.to_dict()}


def start_settings(folder: Path, bomb: Path) -> Attempt:
    searches = list(_assignments(search_config("cifar_final").model_dump(mode="json")))
    searches += [f"space.name={name}" for name in SPACES.names()]
    searches += ["scheduler.name=asha", "space.name=os:system", "strategy.name=x:y", "strategy.name=random"]
    trainings = list(
        _assignments(train_config("imagenet_today", CELL).model_dump(mode="json", exclude={"genotype"}))
    )

    def attempt(rng: random.Random) -> None:
        is_search = rng.random() < 0.6
        assignments = rng.sample(searches if is_search else trainings, rng.randint(1, 4))
        assignments = [
            _mutated_assignment(rng, assignment) if rng.random() < 0.7 else assignment
            for assignment in assignments
        ]
        settings = parse_assignments(assignments)
        if is_search:
            config = search_config(rng.choice(list(RECIPES)), settings)
            use_search(config)
        else:
            use_training(train_config(rng.choice(list(TRAIN_RECIPES)), {**settings, **CELL}))

    return attempt


def start_recorded(folder: Path, bomb: Path) -> Attempt:
    searches = [
        search_config("small", {"space": SPACE, "strategy": strategy}).model_dump(mode="json")
        for strategy in STRATEGIES
    ]
    training = train_config("cifar_final", CELL).model_dump(mode="json")

    def attempt(rng: random.Random) -> None:
        if rng.random() < 0.6:
            use_search(resumed_search_config(_mutated(rng, rng.choice(searches)), {}))
        else:
            use_training(validated(TrainConfig, _mutated(rng, training)))

    return attempt


def use_search(config: SearchConfig) -> None:
    """Builds what a search needs before it trains anything."""
    _same_again(config)
    space = config.make_space()
    config.make_strategy(space).propose()


def use_training(config: TrainConfig) -> None:
    _same_again(config)


def _same_again(config: FrozenModel) -> None:
    """Checks that a config is the same after it was written and read."""
    recorded = config.model_dump(mode="json")
    assert type(config).model_validate(recorded).model_dump(mode="json") == recorded


def _mutated(rng: random.Random, value: Mapping[str, Any]) -> Any:
    text = mutated_json(rng, dict(value))
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"space": text[:50]}


def _assignments(config: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _assignments(value, f"{where}{key}.")
        else:
            yield f"{where}{key}={value}"


def _mutated_assignment(rng: random.Random, assignment: str) -> str:
    key, _, value = assignment.partition("=")
    choice = rng.randrange(5)
    if choice == 0:
        return f"{key}={mutated_json(rng, rng.choice(VALUES))}"
    if choice == 1:
        return f"{key}={rng.choice(RAW)}"
    if choice == 2:
        return f"{key}={rng.choice(VALUES)}"
    if choice == 3:
        return f"{mutated_text(rng, key)}={value}"
    return mutated_text(rng, assignment)
