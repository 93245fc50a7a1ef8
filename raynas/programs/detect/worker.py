"""What each worker of a detector's training builds: the detector and its batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from raynas.detection.data import (
    Augmentation,
    DetectionBatch,
    DetectionSet,
    TrainingSet,
    evaluation_batches,
    training_batches,
)
from raynas.detection.detector import build_detector
from raynas.detection.norm import norm_rule
from raynas.detection.plan import DetectorPlan
from raynas.detection.training import Detection, DetectorBatches
from raynas.models.preprocess import Preprocessing
from raynas.programs.detect.config import DetectConfig
from raynas.programs.detect.prepare import PreparedDetection
from raynas.training.device import Placement, reproducible
from raynas.training.final import FinalTraining
from raynas.training.final_config import divisible, micro_batch


@dataclass(frozen=True)
class DetectionInput:
    """What Ray hands to every worker, once per node."""

    chosen: TrainingSet
    validation: DetectionSet
    plan: DetectorPlan
    preprocessing: Preprocessing
    initial: Mapping[str, Tensor] | None
    """See PreparedDetection. As tensors, because the file may be on the driver's machine alone."""
    is_pretrained: bool

    @staticmethod
    def of(training: PreparedDetection) -> DetectionInput:
        """The parts of a prepared training that its workers need."""
        assert training.data.validation is not None
        return DetectionInput(
            training.chosen,
            training.data.validation,
            training.plan,
            training.preprocessing,
            training.initial,
            training.config.weights is not None,
        )


def build_detector_training(
    placement: Placement, given: DetectionInput, *, config: DetectConfig
) -> FinalTraining[DetectionBatch]:
    """What one worker trains, with the same initial weights on every worker."""
    settings, tracking = config.training, config.tracking
    if config.workers.at_least is not None:
        settings = divisible(settings, placement.num_ranks)
    norm = norm_rule(
        config.detector,
        images_per_worker=micro_batch(settings, placement.num_ranks),
        num_workers=placement.num_ranks,
        uses_gpus=torch.device(placement.device).type == "cuda",
        is_pretrained=given.is_pretrained,
    )
    with reproducible(config.seed, placement):
        detector = build_detector(
            given.plan.network,
            given.plan.config,
            num_classes=given.plan.num_classes,
            preprocessing=given.preprocessing,
            weights=given.initial,
            norm=norm.mode,
        )
    return FinalTraining(
        detector,
        _batches(given, config, placement),
        Detection(given.validation, num_pictures=tracking.pictures if tracking.enabled else 0),
        settings,
        placement,
        seed=config.seed,
    )


def _batches(given: DetectionInput, config: DetectConfig, placement: Placement) -> DetectorBatches:
    # The worker's main thread trains, so one CPU is left to it.
    auto = max(placement.num_threads - 1, 1)
    processes = auto if config.data.processes == "auto" else config.data.processes
    # The detector draws the sizes itself.
    augmentation = Augmentation(flip=config.data.flip)
    channels = len(given.preprocessing.mean)
    return DetectorBatches(
        training_batches(
            given.chosen,
            augmentation,
            seed=config.seed,
            num_processes=processes,
            device=placement.device,
            num_channels=channels,
        ),
        evaluation_batches(
            given.validation, num_processes=processes, device=placement.device, num_channels=channels
        ),
    )
