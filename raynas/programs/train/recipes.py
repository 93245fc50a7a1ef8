"""Recipes of final training: functions that return a TrainConfig's fields. Every number has its source.

The steps of slim's ImageNet training, 250,000 at 50 replicas of 32 or 100 of 16, are 312 epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raynas.config import merged, validated
from raynas.data.config import uses_digits
from raynas.errors import UnknownName
from raynas.models.networks import NETWORKS
from raynas.programs.train.config import TrainConfig

Settings = Mapping[str, Any]
IMAGENET_EPOCHS = 312
DEFAULT_RECIPE = "cifar_final"


def cifar_final(settings: Settings) -> dict[str, Any]:
    """tensorflow/models slim nasnet.py, cifar_config and its notes; cutout of Zoph et al. 2018, table 1."""
    recipe: dict[str, Any] = {
        "network": _network("nasnet_a_cifar"),
        "data": {"augmentation": {"flip": True, "cutout": 16}},
        "training": {
            "epochs": 600,
            "batch_size": 32,
            "optimizer": {"name": "sgd", "learning_rate": 0.025, "momentum": 0.9, "weight_decay": 5e-4},
            "schedule": {"name": "cosine"},
            "gradient_clip": 5.0,
        },
    }
    if uses_digits(settings):
        # 8x8 pixels bear one reduction and a quarter of the cutout, and a mirrored digit is no digit.
        digits = {
            "network": {"num_reductions": 1},
            "data": {"augmentation": {"flip": False, "cutout": 4}},
        }
        recipe = merged(recipe, digits)
    return recipe


def imagenet_mobile(settings: Settings) -> dict[str, Any]:
    """slim's notes: 32 images on each of 50 replicas, rate 0.04 for each, 0.97 every 2.4 epochs, norm 10."""
    return _imagenet("nasnet_a_mobile", rate=0.04, replica=32, weight_decay=4e-5)


def imagenet_large(settings: Settings) -> dict[str, Any]:
    """slim's notes: 16 images on each of 100 replicas, rate 0.015 for each; else as imagenet_mobile."""
    return _imagenet("nasnet_a_large", rate=0.015, replica=16, weight_decay=5e-5)


def imagenet_today(settings: Settings) -> dict[str, Any]:
    """Ours, after today's practice, not measured at ImageNet's scale: SGD, cosine after a warm-up,
    RandAugment, images that grow (Tan & Le 2021), bfloat16 where the hardware has it.
    """
    recipe = _imagenet("nasnet_a_mobile", rate=0.5, replica=1024, weight_decay=2e-5)
    image_size = _image_size(settings) or recipe["data"]["image_size"]
    training = {
        "epochs": 300,
        "batch_size": 1024,
        "optimizer": {"name": "sgd", "epsilon": 1.0},
        "schedule": {"name": "cosine", "warmup_epochs": 5},
        "gradient_clip": 5.0,
    }
    data = {"rand_augment": True, "first_image_size": image_size * 4 // 7}
    return merged(recipe, {"training": training, "data": data})


TRAIN_RECIPES: dict[str, Callable[[Settings], dict[str, Any]]] = {
    "cifar_final": cifar_final,
    "imagenet_mobile": imagenet_mobile,
    "imagenet_large": imagenet_large,
    "imagenet_today": imagenet_today,
}


def train_config(recipe: str, settings: Settings) -> TrainConfig:
    """The recipe with the user's settings, `cell` and `genotype` among them, laid over it.

    Raises:
        UnknownName: no recipe is called that.
        InvalidConfig: a setting is unknown or out of bounds.
    """
    if recipe not in TRAIN_RECIPES:
        raise UnknownName("recipe of final training", recipe, TRAIN_RECIPES)
    return validated(TrainConfig, merged(TRAIN_RECIPES[recipe](settings), {**settings, "recipe": recipe}))


def _network(name: str) -> dict[str, Any]:
    return NETWORKS[name].config.model_dump(mode="json") | {"auxiliary_head": True}


def _image_size(settings: Settings) -> int | None:
    """As the user set it; what is no size, validation names."""
    data = settings.get("data", {})
    size = data.get("image_size") if isinstance(data, Mapping) else None
    return size if isinstance(size, int) else None


def _imagenet(name: str, *, rate: float, replica: int, weight_decay: float) -> dict[str, Any]:
    return {
        "network": _network(name),
        "data": {
            "streamed": True,
            "image_size": NETWORKS[name].image_size,
            "crop_fraction": NETWORKS[name].preprocessing.crop_fraction,
        },
        "training": {
            "epochs": IMAGENET_EPOCHS,
            "batch_size": 1600,
            "optimizer": {
                "name": "rmsprop",
                "learning_rate": rate,
                "reference_batch": replica,
                "momentum": 0.9,
                "decay": 0.9,
                "epsilon": 1.0,
                "weight_decay": weight_decay,
            },
            "schedule": {"name": "exponential", "decay_rate": 0.97, "decay_epochs": 2.4},
            "label_smoothing": 0.1,
            "gradient_clip": 10.0,
            "average_decay": 0.9999,
            # What a spot node that is taken away costs at most.
            "checkpoint_minutes": 15.0,
        },
        "workers": {"cpus": 8},
    }
