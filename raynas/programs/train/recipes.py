"""Training recipes: functions that return fields of TrainConfig. Every number has its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raynas.config import merged, validated
from raynas.data.config import uses_digits
from raynas.errors import UnknownName
from raynas.models.networks import NETWORKS
from raynas.programs.train.config import TrainConfig
from raynas.training import cifar, small

IMAGENET_EPOCHS = 312
"""slim's 250,000 steps at 50 replicas of 32 images, or at 100 replicas of 16."""
DEFAULT_RECIPE = "small_final"
SMALL_IMAGE_SIZE = 32
"""Pixels per side up to which fine-tuning keeps images in memory."""


def small_final(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The default: raynas.training.small, for small data sets and small machines."""
    augmentation = cifar.DIGITS_AUGMENTATION if uses_digits(settings) else {}
    return {
        "network": small.NETWORK | cifar.final_network(settings),
        "data": {"augmentation": augmentation},
        "training": {
            "epochs": small.EPOCHS,
            "batch_size": small.BATCH_SIZE,
            "optimizer": {
                "name": "sgd",
                "learning_rate": small.LEARNING_RATE,
                "momentum": 0.9,
                "weight_decay": small.WEIGHT_DECAY,
            },
            "schedule": {"name": "cosine"},
            "gradient_clip": small.GRADIENT_CLIP,
        },
    }


def cifar_training(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The final CIFAR-10 training of NASNet's authors; see raynas.training.cifar."""
    return {
        "network": _network("nasnet_a_cifar") | cifar.final_network(settings),
        "data": {"augmentation": cifar.final_augmentation(settings)},
        "training": {
            "epochs": cifar.CIFAR_EPOCHS,
            "batch_size": cifar.CIFAR_BATCH_SIZE,
            "optimizer": {
                "name": "sgd",
                "learning_rate": cifar.CIFAR_LEARNING_RATE,
                "momentum": 0.9,
                "weight_decay": cifar.CIFAR_WEIGHT_DECAY,
            },
            "schedule": {"name": "cosine"},
            "gradient_clip": cifar.CIFAR_GRADIENT_CLIP,
            "auxiliary_weight": cifar.CIFAR_AUXILIARY_WEIGHT,
        },
    }


def imagenet_mobile(settings: Mapping[str, Any]) -> dict[str, Any]:
    """NASNet-A mobile on ImageNet, as the notes in tensorflow/models slim nasnet.py describe it.

    There 50 replicas take 32 images each at a learning rate of 0.04, which falls by 0.97 every 2.4 epochs;
    the gradient's norm is limited to 10.
    """
    return _imagenet("nasnet_a_mobile", rate=0.04, replica=32, weight_decay=4e-5)


def imagenet_large(settings: Mapping[str, Any]) -> dict[str, Any]:
    """NASNet-A large on ImageNet, from the same notes: 100 replicas of 16 images, learning rate 0.015."""
    return _imagenet("nasnet_a_large", rate=0.015, replica=16, weight_decay=5e-5)


def imagenet_today(settings: Mapping[str, Any]) -> dict[str, Any]:
    """NASNet-A mobile on ImageNet as one would train it today; raynas's own, not measured at this scale.

    SGD with a cosine after a warm-up, RandAugment, images that grow (Tan & Le 2021, arXiv 2104.00298), and
    bfloat16 on GPUs that have it.
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


def finetune(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Fine-tuning from weights, of the published network that is named, or else of cifar_final's.

    Learning rate, momentum and weight decay are the common practice from which Li et al. 2020 (arXiv
    2002.11770) set out. The rest is raynas's own and was not measured at this scale: no drop path, no
    auxiliary head, and running statistics of batch norm that follow within tens of updates.
    """
    name = settings.get("cell")
    published = NETWORKS[name] if name in NETWORKS else NETWORKS["nasnet_a_cifar"]
    is_streamed = published.image_size > SMALL_IMAGE_SIZE
    adapted = {"drop_path": 0.0, "conventions": {"norm_momentum": 0.1}} | cifar.final_network(settings)
    streamed = {
        "streamed": True,
        "image_size": published.image_size,
        "crop_fraction": published.preprocessing.crop_fraction,
    }
    return {
        "network": merged(published.config.model_dump(mode="json"), adapted),
        "data": streamed if is_streamed else {"augmentation": cifar.final_augmentation(settings)},
        "training": {
            "epochs": 30,
            "batch_size": 64,
            "optimizer": {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 1e-4},
            "schedule": {"name": "cosine"},
        },
    }


TRAIN_RECIPES: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "small_final": small_final,
    "cifar_final": cifar_training,
    "imagenet_mobile": imagenet_mobile,
    "imagenet_large": imagenet_large,
    "imagenet_today": imagenet_today,
    "finetune": finetune,
}


def train_config(recipe: str, settings: Mapping[str, Any]) -> TrainConfig:
    """The recipe with the user's settings laid over it; they must include `cell` and `genotype`.

    Raises:
        UnknownName: no training recipe has this name.
        InvalidConfig: a setting is unknown or out of bounds.
    """
    if recipe not in TRAIN_RECIPES:
        raise UnknownName("recipe of final training", recipe, TRAIN_RECIPES)
    return validated(TrainConfig, merged(TRAIN_RECIPES[recipe](settings), {**settings, "recipe": recipe}))


def _network(name: str) -> dict[str, Any]:
    return NETWORKS[name].config.model_dump(mode="json") | {"auxiliary_head": True}


def _image_size(settings: Mapping[str, Any]) -> int | None:
    """The image size that the user set, if it is a number; validation refuses anything else later."""
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
            # The most that is lost when a cloud provider takes a spot node away.
            "checkpoint_minutes": 15.0,
        },
        "workers": {"cpus": 8},
    }
