"""Recipes: functions that return the complete config of a search. A user's own settings are laid over one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raynas.config import merged, validated
from raynas.errors import UnknownName, UsageError
from raynas.search_config import SearchConfig
from raynas.space import SPACES

Settings = Mapping[str, Any]


def small(settings: Settings) -> dict[str, Any]:
    """For a laptop: small networks, few epochs; the default."""
    recipe: dict[str, Any] = {
        "space": {"name": "nasnet"},
        "strategy": {"name": "ppo"},
        "network": {"cells_per_stack": 1, "filters": 8},
        "child": {"epochs": 2},
    }
    data = settings.get("data", {})
    if isinstance(data, Mapping) and data.get("source", "digits") == "digits":
        # 8x8 pixels bear one reduction, and a mirrored digit is no digit. 360 validation images put the
        # standard error of an accuracy of 0.95 at 0.011.
        digits = {
            "data": {"validation_images": 360},
            "network": {"num_reductions": 1},
            "child": {"epochs": 3, "learning_rate": 0.1, "augmentation": {"flip": False}},
        }
        recipe = merged(recipe, digits)
    return recipe


def nasnet_paper(settings: Settings) -> dict[str, Any]:
    """The search of Zoph et al. 2018, A.1-A.3; F, batch size and learning rate are not in the paper.

    F = 32 is the published network's; 45,000 of CIFAR-10's training images train, 5,000 validate.
    """
    return {
        "children": 20_000,
        "network": {"cells_per_stack": 2, "filters": 32},
        "child": {"epochs": 20, "augmentation": {"flip": True}},
        "space": {"name": "nasnet"},
        "strategy": {"name": "ppo"},
    }


RECIPES: dict[str, Callable[[Settings], dict[str, Any]]] = {"small": small, "nasnet_paper": nasnet_paper}


def search_config(recipe: str = "small", settings: Settings | None = None) -> SearchConfig:
    """The recipe with the user's settings laid over it, validated.

    Raises:
        UnknownName: no recipe is called that.
        InvalidConfig: a setting is unknown or out of bounds.
    """
    if recipe not in RECIPES:
        raise UnknownName("recipe", recipe, RECIPES)
    settings = settings or {}
    chosen = merged(RECIPES[recipe](settings), settings)
    return validated(SearchConfig, merged({"network": _networks_of(chosen)}, chosen))


def _networks_of(chosen: Settings) -> Mapping[str, Any]:
    """What the search space says of its networks."""
    space = chosen.get("space", {})
    name = space.get("name") if isinstance(space, Mapping) else None
    try:
        return SPACES.find(name).network if isinstance(name, str) else {}
    except UsageError:
        # Validation says what is wrong with the name.
        return {}
