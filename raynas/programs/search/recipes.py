"""Search recipes: functions that return the settings of a search. A user's own settings override them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raynas.cells.space import SPACES
from raynas.config import merged, validated
from raynas.data.config import uses_digits
from raynas.errors import UnknownName, UsageError
from raynas.programs.search.config import SearchConfig
from raynas.strategies.ppo_config import PAPER
from raynas.strategies.strategy import STRATEGIES
from raynas.training import cifar
from raynas.training import small as small_training


def small(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The default: small networks and few epochs, for a laptop."""
    recipe: dict[str, Any] = {
        "space": {"name": "nasnet"},
        "strategy": {"name": "ppo"},
        "network": {"cells_per_stack": 1, "filters": 8},
        "child": {"epochs": 2},
    }
    if uses_digits(settings):
        # 360 validation images put the standard error of an accuracy of 0.95 at 0.011.
        digits = {
            "data": {"validation_images": 360},
            "network": cifar.DIGITS_NETWORK,
            "child": {"epochs": 3, "learning_rate": 0.1, "augmentation": cifar.DIGITS_AUGMENTATION},
        }
        recipe = merged(recipe, digits)
    return recipe


def small_final(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The default of promotions: raynas.training.small, for small data sets and small machines."""
    augmentation = cifar.DIGITS_AUGMENTATION if uses_digits(settings) else {}
    return {
        "space": {"name": "nasnet"},
        "strategy": {"name": "ppo"},
        "network": small_training.NETWORK | cifar.final_network(settings),
        "child": {
            "epochs": small_training.EPOCHS,
            "batch_size": small_training.BATCH_SIZE,
            "learning_rate": small_training.LEARNING_RATE,
            "weight_decay": small_training.WEIGHT_DECAY,
            "gradient_clip": small_training.GRADIENT_CLIP,
            "augmentation": augmentation,
        },
    }


def nasnet_paper(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The search of Zoph et al. 2018, A.1-A.3. The paper gives no F, batch size and learning rate.

    F = 32 is that of the published network. With CIFAR-10, 45,000 of its training images train and 5,000
    validate.
    """
    return {
        "children": 20_000,
        "network": {"cells_per_stack": 2, "filters": 32},
        "child": {"epochs": 20},
        "space": {"name": "nasnet"},
        "strategy": {"name": "ppo", **PAPER.model_dump()},
    }


def amoebanet_paper(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The search of Real et al. 2019 (arXiv 1802.01548), section 4: evolution over 20,000 models.

    Each model has N = 3 and F = 24 and is trained for 25 epochs. What the paper leaves open is as in a NASNet
    search.
    """
    return {
        "children": 20_000,
        "network": {"cells_per_stack": 3, "filters": 24},
        "child": {"epochs": 25},
        "space": {"name": "amoebanet"},
        "strategy": {"name": "evolution", "population": 100, "sample": 25},
    }


def cifar_final(settings: Mapping[str, Any]) -> dict[str, Any]:
    """For promotions: the final CIFAR-10 training of NASNet's authors; raynas.training.cifar has its source.

    The drop path of 0.4 and the size of the network are those of the published network.
    """
    network = {"cells_per_stack": 6, "filters": 32, "drop_path": 0.4, "auxiliary_head": True}
    return {
        "space": {"name": "nasnet"},
        "strategy": {"name": "ppo"},
        "network": network | cifar.final_network(settings),
        "child": {
            "epochs": cifar.CIFAR_EPOCHS,
            "batch_size": cifar.CIFAR_BATCH_SIZE,
            "learning_rate": cifar.CIFAR_LEARNING_RATE,
            "weight_decay": cifar.CIFAR_WEIGHT_DECAY,
            "gradient_clip": cifar.CIFAR_GRADIENT_CLIP,
            "auxiliary_weight": cifar.CIFAR_AUXILIARY_WEIGHT,
            "augmentation": cifar.final_augmentation(settings),
        },
    }


RECIPES: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "small": small,
    "nasnet_paper": nasnet_paper,
    "amoebanet_paper": amoebanet_paper,
    "small_final": small_final,
    "cifar_final": cifar_final,
}


def search_config(recipe: str = "small", settings: Mapping[str, Any] | None = None) -> SearchConfig:
    """The validated config of a search.

    Args:
        recipe: a name in RECIPES.
        settings: the user's own settings, nested; they take precedence over the recipe.
    Raises:
        UnknownName: there is no such recipe.
        InvalidConfig: a setting is unknown or out of bounds.
    """
    if recipe not in RECIPES:
        raise UnknownName("recipe", recipe, RECIPES)
    settings = settings or {}
    chosen = merged(_without_options_of_others(RECIPES[recipe](settings), settings), settings)
    base = {"network": _network_of_space(chosen), "reward": {"name": "accuracy"}}
    return validated(SearchConfig, merged(base, chosen))


def check_search_words(recipe: str, settings: Mapping[str, Any]) -> None:
    """UnknownName or InvalidConfig if a word in the settings of a new search is wrong.

    Checks what `search_config` does, but for the options of the strategy: its class may need torch, which
    takes seconds to load, and this does not.
    """
    asked = settings.get("strategy", {})
    name = asked.get("name") if isinstance(asked, Mapping) else None
    if isinstance(name, str):
        STRATEGIES.check_name(name)
    search_config(recipe, {**settings, "strategy": {"name": "random"}})


def _without_options_of_others(recipe: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe without its options of a space or strategy, where the user chose another one."""
    chosen = dict(recipe)
    for field in ("space", "strategy"):
        asked = settings.get(field, {})
        if isinstance(asked, Mapping) and asked.get("name", recipe[field]["name"]) != recipe[field]["name"]:
            chosen[field] = {}
    return chosen


def _network_of_space(chosen: Mapping[str, Any]) -> Mapping[str, Any]:
    """The network settings that belong to the search space."""
    space = chosen.get("space", {})
    name = space.get("name") if isinstance(space, Mapping) else None
    try:
        return SPACES.find(name).network if isinstance(name, str) else {}
    except UsageError:
        # An unknown name is reported by the validation of the config, which follows.
        return {}
