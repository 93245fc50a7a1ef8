"""What a classifier gets right, against counting by hand and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, top_k_accuracy_score

from raynas.errors import TrainingFailed
from raynas.training.classification_scores import ClassificationScores

K = 12


def batch(num_images: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels_N = torch.randint(K, (num_images,), generator=generator)
    logits_NK = torch.randn(num_images, K, generator=generator)
    logits_NK[torch.arange(num_images), labels_N] += 1
    return logits_NK, labels_N


def test_the_numbers_are_those_of_scikit_learn():
    logits_NK, labels_N = batch(500)
    scores = ClassificationScores.of_batch(logits_NK, labels_N)
    expected = confusion_matrix(labels_N, logits_NK.argmax(dim=1), labels=range(K))
    np.testing.assert_array_equal(scores.confusion_KK, expected)
    assert scores.num_images == 500
    assert scores.top1 == pytest.approx(top_k_accuracy_score(labels_N, logits_NK, k=1, labels=range(K)))
    assert scores.top5 == pytest.approx(top_k_accuracy_score(labels_N, logits_NK, k=5, labels=range(K)))
    of_classes = np.diagonal(expected) / expected.sum(axis=1)
    assert scores.accuracy_of_classes == pytest.approx(tuple(of_classes))
    assert scores.mean_class_accuracy == pytest.approx(of_classes.mean())


def test_batches_add_up():
    logits_NK, labels_N = batch(100)
    whole = ClassificationScores.of_batch(logits_NK, labels_N)
    parts = [
        ClassificationScores.of_batch(logits_NK[rows], labels_N[rows])
        for rows in (slice(0, 30), slice(30, 30), slice(30, 100))
    ]
    together = ClassificationScores.joined(parts, K)
    np.testing.assert_array_equal(together.confusion_KK, whole.confusion_KK)
    np.testing.assert_array_equal(together.top5_K, whole.top5_K)
    assert parts[0].num_images == 30


def test_the_most_frequent_errors_come_first():
    logits_NK = torch.eye(3)[[1, 1, 1, 2, 0, 0, 2]]
    scores = ClassificationScores.of_batch(logits_NK, torch.tensor([0, 0, 1, 1, 0, 2, 2]))
    assert scores.confusions(10) == [(0, 1, 2), (1, 2, 1), (2, 0, 1)]
    assert scores.confusions(1) == [(0, 1, 2)]
    assert scores.images_of_classes == (3, 2, 2)


def test_without_images_there_are_no_fractions():
    scores = ClassificationScores.joined([], 3)
    assert (scores.top1, scores.top5, scores.mean_class_accuracy) == (None, None, None)
    one = ClassificationScores.of_batch(torch.eye(3)[:1], torch.tensor([0]))
    assert one.accuracy_of_classes == (1.0, None, None) and one.mean_class_accuracy == 1


def test_with_few_classes_top_5_is_all_of_them():
    scores = ClassificationScores.of_batch(torch.eye(3), torch.tensor([1, 2, 0]))
    assert (scores.top1, scores.top5) == (0.0, 1.0)


def test_logits_that_are_nan_are_refused():
    logits_NK, labels_N = batch(6)
    logits_NK[2, 3] = torch.nan
    with pytest.raises(TrainingFailed, match="NaN for 1 of 6 images"):
        ClassificationScores.of_batch(logits_NK, labels_N)
