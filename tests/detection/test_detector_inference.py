"""The detector in the form that is exported: against FasterRCNN itself, and as pt2 and ONNX."""

# Shapes: C channels, H x W pixels, D detections.

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from raynas.detection.inference import DetectorForInference, exported_program
from raynas.detection.letterbox import Letterbox
from raynas.errors import UsageError
from tests.detection.small_detectors import FORMS, SMALL, busy_detector, pictures, small_detector

SIZE = (96, 160)
INNER_SIZES = [(90, 150), (96, 160), (65, 129), (80, 160)]
"""Sizes that FasterRCNN pads to SIZE."""


@torch.no_grad()
def found_by_torchvision(detector: Any, picture_CHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """FasterRCNN's own detections in the picture at its own size."""
    detector.transform.min_size = (min(picture_CHW.shape[1:]),)
    (found,) = detector([picture_CHW])
    return found["boxes"], found["scores"], found["labels"]


def in_image(picture_CHW: Tensor, *, padding: float = 0.0) -> tuple[Tensor, Tensor]:
    """The picture in the upper left corner of an image of SIZE."""
    image_1CHW = torch.full((1, picture_CHW.shape[0], *SIZE), padding)
    height, width = picture_CHW.shape[1:]
    image_1CHW[0, :, :height, :width] = picture_CHW
    return image_1CHW, torch.tensor([height, width])


def by_class(found: Any) -> list[Tensor]:
    """The detections of each class together, as scores of two classes may be almost equal."""
    boxes, scores, labels = (torch.as_tensor(one) for one in found)
    order = (2 * labels - scores).argsort(stable=True)
    return [boxes[order], scores[order], labels[order]]


def assert_same_detections(given: Any, expected: Any, *, pixels: float) -> None:
    assert len(given[0]) == len(expected[0])
    (boxes, scores, labels), (true_boxes, true_scores, true_labels) = by_class(given), by_class(expected)
    assert torch.equal(labels, true_labels)
    assert torch.allclose(boxes, true_boxes, atol=pixels, rtol=0)
    assert torch.allclose(scores, true_scores, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("inner_size", INNER_SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_it_finds_what_torchvision_finds(form, inner_size):
    detector = busy_detector(FORMS[form])
    module = DetectorForInference(detector, SIZE)
    (picture_CHW,) = pictures(inner_size)
    expected = found_by_torchvision(detector, picture_CHW)
    assert len(expected[0]) > 20
    with torch.no_grad():
        # What lies outside the picture has no influence.
        given = module(*in_image(picture_CHW, padding=7.0))
    assert_same_detections(given, expected, pixels=1e-3)


@pytest.mark.parametrize("num_classes", [1, 2, 80])
def test_it_finds_what_torchvision_finds_for_any_number_of_classes(num_classes):
    detector = busy_detector(num_classes=num_classes, score_threshold=0.02)
    detector.roi_heads.detections_per_img = 1000
    (picture_CHW,) = pictures((90, 150))
    expected = found_by_torchvision(detector, picture_CHW)
    with torch.no_grad():
        given = DetectorForInference(detector, SIZE)(*in_image(picture_CHW))
    assert len(expected[0]) > 10
    assert_same_detections(given, expected, pixels=1e-3)


def test_nothing_found_is_an_empty_list():
    detector = busy_detector(score_threshold=1.0)
    with torch.no_grad():
        boxes, scores, labels = DetectorForInference(detector, SIZE)(*in_image(pictures((90, 150))[0]))
    assert boxes.shape == (0, 4) and scores.shape == labels.shape == (0,)


def test_labels_and_scores_are_in_their_ranges():
    with torch.no_grad():
        boxes, scores, labels = DetectorForInference(busy_detector(), SIZE)(*in_image(pictures((65, 129))[0]))
    assert labels.dtype == torch.int64 and set(labels.tolist()) <= {1, 2, 3}
    assert (scores > 0.05).all() and (scores.diff() <= 0).all()
    assert (boxes >= 0).all() and (boxes[:, [0, 2]] <= 129).all() and (boxes[:, [1, 3]] <= 65).all()


@pytest.mark.parametrize("size", [(96, 150), (0, 96), (-32, 96)])
def test_a_size_that_is_no_multiple_of_32_is_refused(size):
    with pytest.raises(UsageError, match=r"multiples of 32, at most 8192\. Give \["):
        DetectorForInference(small_detector(), size)


@pytest.mark.parametrize("size", [(50, 40), (96, 160), (300, 200), (10, 500), (1, 1), (333, 333)])
def test_a_letterboxed_picture_keeps_its_shape_and_its_boxes_come_back(size):
    (picture_CHW,) = pictures(size)
    boxed = Letterbox(SIZE, SIZE)(picture_CHW)
    height, width = boxed.inner_size.tolist()
    assert boxed.image_1CHW.shape == (1, 3, *SIZE)
    assert height == SIZE[0] or width == SIZE[1]
    assert height <= SIZE[0] and width <= SIZE[1]
    assert not boxed.image_1CHW[:, :, height:].any() and not boxed.image_1CHW[:, :, :, width:].any()
    corners = torch.tensor([[0.0, 0.0, width, height]])
    assert torch.allclose(boxed.in_picture(corners), torch.tensor([[0.0, 0.0, size[1], size[0]]]))


def test_a_picture_is_scaled_as_torchvision_scales_it():
    detector = small_detector(SMALL.model_copy(update={"sides": (96,), "longest_side": 160})).eval()
    (picture_CHW,) = pictures((48, 70))
    images, _ = detector.transform([picture_CHW])
    boxed = Letterbox(SIZE, SIZE)(picture_CHW)
    height, width = boxed.inner_size.tolist()
    assert images.image_sizes == [(height, width)]
    normalised = (boxed.image_1CHW[:, :, :height, :width] - 0.5) / 0.5
    assert torch.allclose(images.tensors[:, :, :height, :width], normalised, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_an_exported_program_finds_the_same(form, tmp_path):
    detector = busy_detector(FORMS[form])
    module = DetectorForInference(detector, SIZE)
    torch.export.save(exported_program(module), tmp_path / "detector.pt2")
    program = torch.export.load(tmp_path / "detector.pt2").module()
    counts = set()
    for inner_size in INNER_SIZES:
        (picture_CHW,) = pictures(inner_size, seed=3)
        with torch.no_grad():
            expected = module(*in_image(picture_CHW))
            given = program(*in_image(picture_CHW))
        assert_same_detections(given, expected, pixels=1e-3)
        counts.add(len(given[0]))
    assert max(counts) > 20


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("score_threshold", [0.3, 1.0])
def test_onnx_runtime_finds_the_same_and_nothing_where_there_is_nothing(form, score_threshold, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    detector = busy_detector(FORMS[form], score_threshold=score_threshold)
    module = DetectorForInference(detector, SIZE)
    names: dict[str, Any] = {
        "input_names": ["image", "inner_size"],
        "output_names": ["boxes", "scores", "labels"],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(exported_program(module), dynamo=True, verbose=False, **names)
    assert program is not None
    program.save(tmp_path / "detector.onnx", external_data=False)
    session = onnxruntime.InferenceSession(tmp_path / "detector.onnx", providers=["CPUExecutionProvider"])
    counts = []
    for inner_size in INNER_SIZES:
        (picture_CHW,) = pictures(inner_size, seed=3)
        image_1CHW, size = in_image(picture_CHW)
        given = session.run(None, {"image": image_1CHW.numpy(), "inner_size": size.numpy()})
        expected = found_by_torchvision(detector, picture_CHW)
        assert_same_detections(given, expected, pixels=0.5)
        counts.append(len(given[0]))
    assert max(counts) == 0 if score_threshold == 1.0 else max(counts) > 20
