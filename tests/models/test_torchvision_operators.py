"""nms and roi_align from Python, against torchvision's formulas, brute force and the compiled operators."""

# Shapes: N images, C channels, H x W pixels, K boxes.

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from raynas.models import torchvision_kernels as kernels
from raynas.models.torchvision_import import has_compiled_operators, load_torchvision

torchvision = load_torchvision()
from_python = pytest.mark.skipif(has_compiled_operators(), reason="torchvision's own operators are loaded")


def some_boxes(number: int, *, side: float = 60.0, seed: int = 0) -> Tensor:
    """Boxes within a picture of `side` pixels."""
    corners = torch.rand(number, 2, 2, generator=torch.Generator().manual_seed(seed)) * side
    return torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)


def some_scores(number: int) -> Tensor:
    return torch.rand(number, generator=torch.Generator().manual_seed(2))


def some_rois(number: int, *, num_images: int = 2, side: float = 60.0) -> Tensor:
    images = torch.arange(number) % num_images
    return torch.cat([images[:, None].float(), some_boxes(number, side=side)], dim=1)


def some_maps(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def iou(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union else 0.0


def nms_by_brute_force(boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -float(scores[i])):
        if all(iou(boxes[index].tolist(), boxes[k].tolist()) <= threshold for k in kept):
            kept.append(index)
    return kept


def torchvisions_roi_align(*arguments: Any) -> Tensor:
    """torchvision's Python version, which it otherwise compiles."""
    return sys.modules["torchvision.ops.roi_align"]._roi_align.__wrapped__(*arguments)  # type: ignore[no-any-return]


def gradient_from_python(
    maps_NCHW: Tensor,
    grad: Tensor,
    rois: Tensor,
    scale: float,
    height: int,
    width: int,
    ratio: int,
    aligned: bool,
) -> Tensor:
    n, c, h, w = maps_NCHW.shape
    return kernels.roi_align_backward(grad, rois, scale, height, width, n, c, h, w, ratio, aligned)


def sampled(map_HW: Tensor, y: float, x: float) -> float:
    """A bilinear sample as the compiled kernel takes it."""
    height, width = map_HW.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = float(map_HW[top, left]) * (1 - across) + float(map_HW[top, right]) * across
    lower = float(map_HW[bottom, left]) * (1 - across) + float(map_HW[bottom, right]) * across
    return upper * (1 - down) + lower * down


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("number", [2, 63, 64, 65, 200])
def test_nms_is_brute_force(number, threshold):
    boxes, scores = (
        some_boxes(number).double(),
        some_scores(number),
    )
    assert kernels.nms(boxes, scores, threshold).tolist() == nms_by_brute_force(boxes, scores, threshold)


def test_nms_keeps_the_order_of_equal_scores():
    boxes = some_boxes(150).double()
    scores = torch.arange(150) % 3 / 3.0
    assert kernels.nms(boxes, scores, 0.4).tolist() == nms_by_brute_force(boxes, scores, 0.4)
    equal = torch.tensor([[0.0, 0.0, 9.0, 9.0]]).expand(100, 4)
    assert kernels.nms(equal, torch.ones(100), 0.5).tolist() == [0]


def test_nms_of_no_box_and_of_one():
    assert kernels.nms(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,)
    assert kernels.nms(torch.zeros(0, 4), torch.zeros(0), 0.5).dtype == torch.int64
    assert kernels.nms(some_boxes(1), torch.ones(1), 0.5).tolist() == [0]


def test_boxes_without_area_suppress_nothing():
    points = torch.tensor([[5.0, 5.0, 5.0, 5.0]]).expand(3, 4)
    assert kernels.nms(points, torch.ones(3), 0.0).tolist() == [0, 1, 2]


def test_a_box_that_is_not_a_number_suppresses_nothing():
    boxes = torch.tensor([[torch.nan] * 4, [0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 9.0]])
    assert kernels.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_nms_takes_any_precision(dtype):
    boxes = some_boxes(100).round()
    scores = torch.arange(100).flip(0).to(dtype)
    assert torch.equal(kernels.nms(boxes.to(dtype), scores, 0.5), kernels.nms(boxes, scores.float(), 0.5))


@pytest.mark.parametrize(
    ("boxes", "scores"), [((3, 5), (3,)), ((3, 4), (2,)), ((3, 4), (3, 1)), ((4,), (4,))]
)
def test_nms_refuses_other_shapes(boxes, scores):
    with pytest.raises(ValueError, match=r"boxes must be \[K, 4\]"):
        kernels.nms(torch.zeros(boxes), torch.zeros(scores), 0.5)


@from_python
def test_boxes_and_scores_may_be_part_of_a_graph():
    boxes, scores = some_boxes(20), some_scores(20)
    expected = torchvision.ops.nms(boxes, scores, 0.5)
    assert torch.equal(torchvision.ops.nms(boxes.requires_grad_(), scores.requires_grad_(), 0.5), expected)
    rois = some_rois(5).requires_grad_()
    maps_NCHW = some_maps(2, 3, 8, 8).requires_grad_()
    torchvision.ops.roi_align(maps_NCHW, rois, (3, 3), 0.25, 2).sum().backward()
    assert maps_NCHW.grad is not None and rois.grad is None


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [1, 2, 3, 0, -1])
def test_roi_align_is_torchvisions_formula(ratio, aligned):
    maps_NCHW, rois = some_maps(2, 5, 16, 20), some_rois(40)
    arguments = (maps_NCHW, rois, 0.25, 3, 7, ratio, aligned)
    assert torch.allclose(kernels.roi_align(*arguments), torchvisions_roi_align(*arguments), atol=1e-5)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [1, 2, 3, -1])
def test_the_gradient_is_that_of_torchvisions_formula(ratio, aligned):
    maps_NCHW = some_maps(2, 5, 16, 20).requires_grad_()
    settings = (some_rois(40), 0.25, 3, 7, ratio, aligned)
    grad = some_maps(40, 5, 3, 7, seed=3)
    (expected,) = torch.autograd.grad(torchvisions_roi_align(maps_NCHW, *settings), maps_NCHW, grad)
    given = gradient_from_python(maps_NCHW, grad, *settings)
    assert torch.allclose(given, expected, atol=2e-4)


@pytest.mark.parametrize("aligned", [False, True])
def test_samples_outside_the_map_are_zero_as_in_the_compiled_kernel(aligned):
    map_HW = some_maps(6, 8)
    start = -3.0
    for x1, y1, size in [
        (-4.0, -4.0, 4.0),
        (5.0, 3.0, 8.0),
        (-9.0, 20.0, 2.0),
        (7.5, 5.5, 1.0),
        (start, 0.0, 14.0),
    ]:
        roi = torch.tensor([[0.0, x1, y1, x1 + size, y1 + size]])
        (given,) = kernels.roi_align(map_HW[None, None], roi, 1.0, 2, 2, 2, aligned)[0]
        offset, bin_size = (0.5 if aligned else 0.0), size / 2
        at = [[start + (k + 0.5) * bin_size / 2 - offset for k in range(4)] for start in (y1, x1)]
        for row in range(2):
            for column in range(2):
                samples = [
                    sampled(map_HW, y, x)
                    for y in at[0][2 * row : 2 * row + 2]
                    for x in at[1][2 * column : 2 * column + 2]
                ]
                assert float(given[row, column]) == pytest.approx(sum(samples) / 4, abs=1e-5)


def test_roi_align_of_no_box_and_of_a_box_that_is_not_a_number():
    maps_NCHW = some_maps(2, 5, 16, 20)
    for ratio in (2, -1):
        assert kernels.roi_align(maps_NCHW, torch.zeros(0, 5), 1.0, 7, 7, ratio, False).shape == (0, 5, 7, 7)
    roi = torch.tensor([[1.0, torch.nan, torch.nan, torch.nan, torch.nan]])
    assert not kernels.roi_align(maps_NCHW, roi, 1.0, 7, 7, 2, False).any()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_roi_align_of_half_precision_is_computed_in_float32(dtype, tolerance):
    maps_NCHW, rois = some_maps(2, 5, 16, 20), some_rois(9).round()
    expected = kernels.roi_align(maps_NCHW.to(dtype).float(), rois, 0.25, 3, 3, 2, False)
    given = kernels.roi_align(maps_NCHW.to(dtype), rois.to(dtype), 0.25, 3, 3, 2, False)
    assert given.dtype == dtype and torch.allclose(given.float(), expected, rtol=tolerance, atol=tolerance)


@from_python
def test_the_registered_gradient_is_right():
    maps_NCHW = some_maps(2, 2, 5, 6, dtype=torch.float64).requires_grad_()
    rois = some_rois(4, side=20.0).double()
    assert torch.autograd.gradcheck(
        lambda maps: torchvision.ops.roi_align(maps, rois, (2, 3), 0.25, 2), (maps_NCHW,)
    )


@from_python
# torchvision's own shape function of nms.
@pytest.mark.filterwarnings("ignore:`create_unbacked_symint` is deprecated")
@pytest.mark.parametrize("name", ["nms", "roi_align"])
def test_torch_finds_no_fault_with_the_registration(name):
    boxes = some_boxes(6)
    inputs = {
        "nms": (boxes, torch.rand(6), 0.5),
        "roi_align": (some_maps(2, 3, 8, 8).requires_grad_(), some_rois(6), 0.25, 3, 3, 2, False),
    }
    utilities = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(getattr(torch.ops.torchvision, name).default, inputs[name], test_utils=utilities)


@from_python
def test_autocast_computes_in_float32():
    maps_NCHW, rois = some_maps(2, 5, 16, 20), some_rois(9)
    expected = torchvision.ops.roi_align(maps_NCHW, rois, (3, 3), 0.25, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(torchvision.ops.roi_align(maps_NCHW, rois, (3, 3), 0.25, 2), expected)
        halves = torchvision.ops.roi_align(maps_NCHW.bfloat16(), rois, (3, 3), 0.25, 2)
    assert halves.dtype == torch.bfloat16


@pytest.mark.skipif(not has_compiled_operators(), reason="torchvision's own operators can't be loaded here")
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_compiled_operators_give_the_same(device):
    boxes, scores = some_boxes(300), some_scores(300)
    compiled = torch.ops.torchvision.nms(boxes.to(device), scores.to(device), 0.5)
    assert torch.equal(compiled.cpu(), kernels.nms(boxes, scores, 0.5))
    rois = torch.cat([some_rois(40), some_rois(40) + torch.tensor([0.0, -50.0, 50.0, -50.0, 50.0])])
    for ratio in (1, 2, 3, -1):
        for aligned in (False, True):
            maps_NCHW = some_maps(2, 5, 16, 20).to(device).requires_grad_()
            settings = (0.25, 3, 7, ratio, aligned)
            given = torch.ops.torchvision.roi_align(maps_NCHW, rois.to(device), *settings)
            grad = some_maps(*given.shape, seed=3)
            (given_grad,) = torch.autograd.grad(given, maps_NCHW, grad.to(device))
            expected = kernels.roi_align(maps_NCHW.detach().cpu(), rois, *settings)
            expected_grad = gradient_from_python(maps_NCHW, grad, rois, *settings)
            assert torch.allclose(given.detach().cpu(), expected, atol=1e-4)
            assert torch.allclose(given_grad.cpu(), expected_grad, atol=1e-3)
