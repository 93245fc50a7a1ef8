"""COCO folders: annotations that were changed, pictures, and the batches and numbers made of them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from raynas.detection.data.batches import training_batches
from raynas.detection.data.config import DetectionDataConfig
from raynas.detection.data.dataset import open_detection
from raynas.detection.data.examples import Augmentation
from raynas.detection.evaluation import Predictions, evaluate_predictions
from tests.detection.coco_sets import coco, write_coco
from tests.fuzz.mutate import json_bytes
from tests.fuzz.trial import Attempt


def start(folder: Path, bomb: Path) -> Attempt:
    root = write_coco(folder / "set")
    file = root / "annotations" / "instances_train2017.json"
    augmentation = Augmentation(shorter_sides=(16,), longest_side=40)

    def attempt(rng: random.Random) -> None:
        file.write_bytes(json_bytes(rng, coco()))
        data = open_detection(DetectionDataConfig(source=str(root), skip_missing=rng.random() < 0.5))
        batches = training_batches(data.for_training(), augmentation, seed=0, num_processes=0)
        for batch in batches.batches(0, 1):
            for image_CHW, target in zip(batch.images, batch.targets, strict=True):
                boxes_N4, labels_N = target["boxes"], target["labels"]
                assert boxes_N4.isfinite().all() and (boxes_N4[:, 2:] > boxes_N4[:, :2]).all()
                assert (boxes_N4 >= 0).all() and (boxes_N4[:, 2] <= image_CHW.shape[2] + 0.01).all()
                assert (labels_N >= 1).all() and (labels_N <= len(data.classes)).all()
        assert data.train is not None
        boxes = data.train.boxes
        found = Predictions(
            boxes.picture_of_N,
            boxes.labels_N.astype(np.int64),
            np.linspace(0, 1, len(boxes)).astype(np.float32),
            boxes.boxes_N4,
        )
        scores = evaluate_predictions(found, data.train)
        assert all(value is None or 0 <= value <= 1 for value in scores.numbers.values())

    return attempt
