"""Recipes of detectors: functions that return fields of DetectConfig. Every number has its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raynas.config import merged, validated
from raynas.errors import UnknownName
from raynas.models.networks import NETWORKS
from raynas.programs.detect.config import DetectConfig

DEFAULT_RECIPE = "coco_mobile"
COCO_IMAGES = 117_266
"""Pictures of train2017 that have boxes, by which epochs are converted to and from steps."""
SMALL_EPOCHS = 100


def coco(settings: Mapping[str, Any]) -> dict[str, Any]:
    """torchvision's reference for COCO: 8 workers with 2 pictures, SGD, 26 epochs, a tenth at 16 and 22.

    Source: pytorch/vision references/detection, train.py and README.md.
    """
    return {
        "network": _network("nasnet_a_large"),
        "detector": {
            "sides": (640, 672, 704, 736, 768, 800),
            "longest_side": 1333,
            # torchvision's reference begins from ImageNet's weights; random ones must not stay as they are.
            "frozen_stride": 4 if settings.get("weights") else 0,
        },
        "training": _sgd(
            epochs=26, batch_size=16, schedule={"name": "steps", "decay_rate": 0.1, "milestones": (16, 22)}
        ),
        "workers": {"cpus": 4},
    }


def coco_paper(settings: Mapping[str, Any]) -> dict[str, Any]:
    """NASNet-A as TensorFlow's Object Detection API trains it: squares of 1200 pixels, the last cells for
    each of 50 proposals, 3e-4 for a batch of one picture, a tenth after 900,000 and 1,200,000 pictures.

    Source: tensorflow/models object_detection, samples/configs/faster_rcnn_nas_coco.config and
    protos/faster_rcnn.proto. There every worker updates by itself; here 8 pictures make an update, at 8 times
    the rate. Its weights of the losses (2 for boxes) and the length of the training are not taken over: the
    first torchvision doesn't have, the second is not in the config.
    """
    fall = (900_000 / COCO_IMAGES, 1_200_000 / COCO_IMAGES)
    schedule = {"name": "steps", "decay_rate": 0.1, "milestones": fall}
    training = _sgd(epochs=11, batch_size=8, schedule=schedule)
    optimizer = {"name": "sgd", "learning_rate": 3e-4, "reference_batch": 1, "weight_decay": 0.0}
    return {
        "network": _network("nasnet_a_large"),
        "detector": {
            "head": "cells",
            "sides": (1200,),
            "longest_side": 1200,
            "stretch": True,
            "norm": "frozen" if settings.get("weights") else "auto",
            "proposals": {"kept": 50, "kept_train": 50},
            "boxes": {"batch": 49, "score_threshold": 0.0, "nms": 0.6},
        },
        "training": {**training, "optimizer": optimizer},
        "workers": {"cpus": 4},
    }


def coco_mobile(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A mobile-sized cell on COCO: shorter sides of 320 to 600 pixels, 26 epochs, a cosine; raynas's own, not
    measured at this scale.
    """
    return {
        "network": _network("nasnet_a_mobile"),
        "detector": {
            "sides": (320, 400, 480, 540, 600),
            "longest_side": 1000,
            "proposals": {"candidates_train": 1000, "candidates": 1000, "kept_train": 1000, "kept": 300},
            "boxes": {"batch": 256},
        },
        "training": _sgd(epochs=26, batch_size=16, schedule={"name": "cosine"}),
        "workers": {"cpus": 4},
    }


def small(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A small detector from random weights on a laptop; raynas's own. benchmarks/README.md has what it learns
    from eight pictures.

    Pictures become squares, because batch norm that is trained counts the zeros with which pictures of other
    shapes are padded: its running statistics would be those of no single picture.
    """
    training = settings.get("training")
    epochs = training.get("epochs") if isinstance(training, Mapping) else None
    if not isinstance(epochs, int):
        epochs = SMALL_EPOCHS
    return {
        "network": {"stem": "imagenet", "cells_per_stack": 1, "filters": 16},
        "detector": {
            "sides": (192,),
            "longest_side": 192,
            "stretch": True,
            "fpn_channels": 64,
            "box_features": 256,
            "anchor_sizes": ((16,), (32,), (64,), (128,)),
            "norm": "trained",
            "proposals": {"candidates_train": 300, "candidates": 300, "kept_train": 300, "kept": 300},
            "boxes": {"batch": 128, "positive_fraction": 0.5},
        },
        "training": {
            "epochs": SMALL_EPOCHS,
            "batch_size": 4,
            # So that it learns the same on GPUs with and without bfloat16.
            "precision": "float32",
            "optimizer": {"name": "adamw", "learning_rate": 2e-3, "weight_decay": 1e-4},
            # A short training needs a short warm-up.
            "schedule": {"name": "cosine", "warmup_epochs": epochs / 8},
            "gradient_clip": 10.0,
        },
    }


DETECT_RECIPES: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "coco": coco,
    "coco_mobile": coco_mobile,
    "coco_paper": coco_paper,
    "small": small,
}


def detect_config(recipe: str, settings: Mapping[str, Any]) -> DetectConfig:
    """The recipe with the user's settings laid over it; they must include `cell`, `genotype` and data.source.

    Raises:
        UnknownName: no recipe has this name.
        InvalidConfig: a setting is unknown or out of bounds.
    """
    if recipe not in DETECT_RECIPES:
        raise UnknownName("recipe of detection", recipe, DETECT_RECIPES)
    return validated(DetectConfig, merged(DETECT_RECIPES[recipe](settings), {**settings, "recipe": recipe}))


def _network(name: str) -> dict[str, Any]:
    return NETWORKS[name].config.model_dump(mode="json")


def _sgd(*, epochs: int, batch_size: int, schedule: dict[str, Any]) -> dict[str, Any]:
    """torchvision's optimiser: 0.02 for 16 pictures, warmed up over 1,000 updates."""
    return {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": {
            "name": "sgd",
            "learning_rate": 0.02,
            "reference_batch": 16,
            "momentum": 0.9,
            "weight_decay": 1e-4,
        },
        "schedule": {**schedule, "warmup_epochs": 1000 * 16 / COCO_IMAGES},
        "gradient_clip": 10.0,
        "checkpoint_minutes": 15.0,
    }
