"""Configs: as words of `--set`, and as a journal or a training.json has recorded them."""

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
    searches = list(_words(search_config("cifar_final").model_dump(mode="json")))
    searches += [f"space.name={name}" for name in SPACES.names()]
    searches += ["scheduler.name=asha", "space.name=os:system", "strategy.name=x:y", "strategy.name=random"]
    trainings = list(
        _words(train_config("imagenet_today", CELL).model_dump(mode="json", exclude={"genotype"}))
    )

    def attempt(rng: random.Random) -> None:
        is_search = rng.random() < 0.6
        words = rng.sample(searches if is_search else trainings, rng.randint(1, 4))
        words = [_mutated_word(rng, word) if rng.random() < 0.7 else word for word in words]
        settings = parse_assignments(words)
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
    """What is made of it before anything is trained."""
    _same_again(config)
    space = config.make_space()
    config.make_strategy(space).propose()


def use_training(config: TrainConfig) -> None:
    _same_again(config)


def _same_again(config: FrozenModel) -> None:
    """What is recorded is what is read."""
    recorded = config.model_dump(mode="json")
    assert type(config).model_validate(recorded).model_dump(mode="json") == recorded


def _mutated(rng: random.Random, value: Mapping[str, Any]) -> Any:
    text = mutated_json(rng, dict(value))
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"space": text[:50]}


def _words(config: Mapping[str, Any], where: str = "") -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _words(value, f"{where}{key}.")
        else:
            yield f"{where}{key}={value}"


def _mutated_word(rng: random.Random, word: str) -> str:
    key, _, value = word.partition("=")
    choice = rng.randrange(5)
    if choice == 0:
        return f"{key}={mutated_json(rng, rng.choice(VALUES))}"
    if choice == 1:
        return f"{key}={rng.choice(RAW)}"
    if choice == 2:
        return f"{key}={rng.choice(VALUES)}"
    if choice == 3:
        return f"{mutated_text(rng, key)}={value}"
    return mutated_text(rng, word)
