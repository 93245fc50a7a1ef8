"""What the shell's Tab key offers as the value of an option. Nothing that is imported here needs torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import BaseModel


def spaces(incomplete: str) -> list[str]:
    """Registered search spaces."""
    from raynas.cells.space import SPACES

    return _beginning(SPACES.listed_names(), incomplete)


def strategies(incomplete: str) -> list[str]:
    """Registered strategies."""
    from raynas.strategies.strategy import STRATEGIES

    return _beginning(STRATEGIES.listed_names(), incomplete)


def rewards(incomplete: str) -> list[str]:
    """Registered rewards."""
    from raynas.strategies.rewards.reward import REWARDS

    return _beginning(REWARDS.listed_names(), incomplete)


def search_recipes(incomplete: str) -> list[str]:
    """Recipes of searches and promotions."""
    from raynas.programs.search.recipes import RECIPES

    return _beginning(RECIPES, incomplete)


def search_settings(incomplete: str) -> list[str]:
    """Fields of SearchConfig as the beginning of KEY=VALUE."""
    from raynas.programs.search.config import SearchConfig

    return _beginning(_assignments(SearchConfig), incomplete)


def train_settings(incomplete: str) -> list[str]:
    """Fields of TrainConfig as the beginning of KEY=VALUE."""
    from raynas.programs.train.config import TrainConfig

    return _beginning(_assignments(TrainConfig), incomplete)


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:

    return [word for word in words if word.startswith(incomplete)]


def _assignments(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        below = field.annotation
        if isinstance(below, type) and issubclass(below, BaseModel) and below.model_fields:
            yield from _assignments(below, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}="
