"""`raynas evaluate`: what was measured, as lines of text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from raynas.cli.terminal.coco_numbers import class_lines, measured
from raynas.detection.evaluation import NUMBERS
from raynas.programs.evaluate.evaluate import ClassifierEvaluation, DetectorEvaluation

MOST_CLASSES = 20
"""Classes whose accuracy is printed, the worst first; JSON has all."""
MOST_CONFUSIONS = 10
"""Pairs of classes that are printed; JSON has ten times as many."""

Evaluation = ClassifierEvaluation | DetectorEvaluation


def evaluation_lines(found: Evaluation) -> list[str]:
    """What was measured, in lines of text."""
    lines = [f"network: {found.model}", f"images: {found.images}"]
    lines += _classifier_lines(found) if isinstance(found, ClassifierEvaluation) else _detector_lines(found)
    if found.pictures:
        lines.append(f"pictures: {len(found.pictures)} in {found.pictures[0].parent}")
    return lines


def evaluation_json(found: Evaluation) -> str:
    """All that was measured; null where there is nothing to measure."""
    own = _classifier_values(found) if isinstance(found, ClassifierEvaluation) else _detector_values(found)
    values = {
        "model": str(found.model),
        "images": found.images,
        **own,
        "pictures": [str(path) for path in found.pictures],
    }
    return json.dumps(values, indent=1, allow_nan=False)


def _classifier_lines(found: ClassifierEvaluation) -> Iterator[str]:
    scores = found.scores
    yield (
        f"top-1 {measured(scores.top1)}  top-5 {measured(scores.top5)}  mean class accuracy "
        f"{measured(scores.mean_class_accuracy)}"
    )
    known = [
        (value, name)
        for value, name in zip(scores.accuracy_of_classes, found.classes, strict=True)
        if value is not None
    ]
    worst = sorted(known, key=lambda pair: pair[0])
    yield f"accuracy by class, the worst first: {_listed([f'{name} {value:.3f}' for value, name in worst])}"
    if len(known) < len(found.classes):
        yield f"classes without an image: {len(found.classes) - len(known):,}"
    confusions = scores.confusions(MOST_CONFUSIONS)
    if confusions:
        yield "most frequent confusions:"
    for true, predicted, count in confusions:
        yield f"  {found.classes[true]} taken for {found.classes[predicted]}: {count:,}"


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - MOST_CLASSES:,} more" if len(words) > MOST_CLASSES else ""
    return ", ".join(words[:MOST_CLASSES]) + more


def _detector_lines(found: DetectorEvaluation) -> Iterator[str]:
    scores = found.scores
    yield (
        f"{scores.num_boxes:,} true boxes, {scores.num_predictions:,} detections with scores of at least "
        f"{found.score_threshold:g} (detector.boxes.score_threshold)"
    )
    yield "  ".join(f"{name} {measured(scores.numbers[name])}" for name in NUMBERS)
    yield from class_lines(scores.ap_of_classes)


def _classifier_values(found: ClassifierEvaluation) -> dict[str, Any]:
    scores = found.scores
    per_class = zip(found.classes, scores.images_of_classes, scores.accuracy_of_classes, strict=True)
    return {
        "task": "classification",
        "num_images": scores.num_images,
        "top1": scores.top1,
        "top5": scores.top5,
        "mean_class_accuracy": scores.mean_class_accuracy,
        "classes": [
            {"name": name, "num_images": count, "accuracy": accuracy} for name, count, accuracy in per_class
        ],
        "confusions": [
            {"true": found.classes[true], "predicted": found.classes[predicted], "num_images": count}
            for true, predicted, count in scores.confusions(10 * MOST_CONFUSIONS)
        ],
    }


def _detector_values(found: DetectorEvaluation) -> dict[str, Any]:
    scores = found.scores
    return {
        "task": "detection",
        "num_images": scores.num_pictures,
        "num_boxes": scores.num_boxes,
        "num_predictions": scores.num_predictions,
        "score_threshold": found.score_threshold,
        **scores.numbers,
        "ap_of_classes": scores.ap_of_classes,
    }
