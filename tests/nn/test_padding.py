"""The padding of TensorFlow's SAME and the symmetric one, against windows written out one by one."""

# Shapes: N images, C channels, H x W pixels, A x B kernel.

from __future__ import annotations

import math

import pytest
import torch

from raynas.nn import Conventions
from raynas.nn.layers import Conv, Pool, conv
from raynas.nn.modules import SameConv2d, SamePool2d, build_layers
from search_spaces.nasnet import NASNET_A
from tests.nn.small_networks import small_network

KERNELS, STRIDES, SIZES = (1, 2, 3, 5, 7), (1, 2), range(1, 13)


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def windows(size: int, kernel: int, stride: int, *, dilation: int = 1) -> list[list[int]]:
    """The pixels that each SAME window would cover, those beyond the border too.

    The padding that is needed is shared between both sides; an odd pixel is the end's (the formula in
    TensorFlow's documentation of tf.nn).
    """
    num_windows = math.ceil(size / stride)
    span = dilation * (kernel - 1) + 1
    needed = max(span - (size % stride or stride), 0)
    start = -(needed // 2)
    return [
        [start + stride * number + dilation * tap for tap in range(kernel)] for number in range(num_windows)
    ]


def is_there(pixel: int, size: int) -> bool:
    return 0 <= pixel < size


def pooled(row: list[float], kernel: int, stride: int, kind: str, *, counts_padding: bool) -> list[float]:
    """Of one row of pixels, window by window."""
    results = []
    for window in windows(len(row), kernel, stride):
        values = [row[pixel] for pixel in window if is_there(pixel, len(row))]
        if kind == "max":
            results.append(max(values))
        else:
            results.append(sum(values) / (kernel if counts_padding else len(values)))
    return results


def pooled_HW(image_HW: torch.Tensor, kernel: int, stride: int, kind: str, **options: bool) -> torch.Tensor:
    """Rows, then columns: a maximum or an average over a rectangle is separable."""
    rows = torch.tensor([pooled(row, kernel, stride, kind, **options) for row in image_HW.tolist()])
    columns = [pooled(column, kernel, stride, kind, **options) for column in rows.T.tolist()]
    return torch.tensor(columns).T


def convolved_HW(
    image_HW: torch.Tensor, weight_AB: torch.Tensor, strides: tuple[int, int], dilation: int
) -> torch.Tensor:
    height, width = image_HW.shape
    rows = windows(height, weight_AB.shape[0], strides[0], dilation=dilation)
    columns = windows(width, weight_AB.shape[1], strides[1], dilation=dilation)
    out_HW = torch.zeros(len(rows), len(columns))
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            for a, from_y in enumerate(row):
                for b, from_x in enumerate(column):
                    if is_there(from_y, height) and is_there(from_x, width):
                        out_HW[y, x] += weight_AB[a, b] * image_HW[from_y, from_x]
    return out_HW


@pytest.mark.parametrize("counts_padding", [False, True])
@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_same_pool_is_the_windows_one_by_one(kernel, stride, kind, counts_padding):
    module = SamePool2d(kind, kernel, stride, counts_padding=counts_padding)
    for size in SIZES:
        image_HW = torch.randn(size, size % 5 + 2) - 3
        out_HW = module(image_HW[None, None])[0, 0]
        by_hand_HW = pooled_HW(image_HW, kernel, stride, kind, counts_padding=counts_padding)
        torch.testing.assert_close(out_HW, by_hand_HW)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dilation", [1, 2])
@torch.no_grad()
def test_same_convolution_is_the_windows_one_by_one(kernel, stride, dilation):
    module = SameConv2d(1, 1, kernel, stride, dilation=dilation, bias=False)
    for size in SIZES:
        image_HW = torch.randn(size, size % 3 + 1)
        out_HW = module(image_HW[None, None])[0, 0]
        by_hand_HW = convolved_HW(image_HW, module.weight[0, 0], (stride, stride), dilation)
        torch.testing.assert_close(out_HW, by_hand_HW)


@pytest.mark.parametrize("layer", [Conv(1, 1, (1, 7), (1, 2)), Conv(1, 1, (3, 1), (2, 1))])
@torch.no_grad()
def test_strided_halves_of_a_factorised_convolution_are_padded_along_their_own_side(layer):
    (module,) = build_layers((layer,), Conventions(padding="same"))
    for size in SIZES:
        image_HW = torch.randn(size, size % 5 + 1)
        by_hand_HW = convolved_HW(image_HW, module.weight[0, 0], layer.stride, 1)
        torch.testing.assert_close(module(image_HW[None, None])[0, 0], by_hand_HW)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize("kernel", [2, 3])
def test_average_divides_by_the_pixels_that_are_there(padding, stride, kernel):
    pool = build_layers((Pool("avg", kernel, stride),), Conventions(padding=padding))
    for size in SIZES:
        torch.testing.assert_close(pool(torch.ones(1, 2, size, size)).unique(), torch.ones(1))


def test_timm_counts_the_padding_at_stride_2_alone():
    ones_NCHW = torch.ones(1, 1, 4, 4)
    of_stride = {
        stride: build_layers((Pool("avg", 3, stride),), Conventions(padding="timm"))(ones_NCHW)[0, 0]
        for stride in STRIDES
    }
    assert of_stride[1].unique().tolist() == [1]
    # An even image is padded at the right and bottom only.
    assert (9 * of_stride[2]).round().tolist() == [[9, 6], [6, 4]]


def test_same_pads_an_even_image_at_the_right_and_bottom():
    image_NCHW = torch.arange(16.0).reshape(1, 1, 4, 4)
    results = {
        padding: build_layers((Pool("max", 3, 2),), Conventions(padding=padding))(image_NCHW)[0, 0].tolist()
        for padding in ("same", "timm", "symmetric")
    }
    assert results["same"] == results["timm"] == [[10, 11], [14, 15]]
    assert results["symmetric"] == [[5, 7], [13, 15]]


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@torch.no_grad()
def test_same_is_symmetric_for_odd_kernels_on_odd_images(kernel):
    parts = [conv(2, 3, kernel, stride=2), Pool("max", kernel, 2), Pool("avg", kernel, 2)]
    for part in parts:
        same, symmetric = (
            build_layers((part,), Conventions(padding=padding)) for padding in ("same", "symmetric")
        )
        symmetric.load_state_dict(same.state_dict())
        for size in SIZES[::2]:
            x_NCHW = torch.randn(2, 2, size, 13 - size)[..., : 12 - size | 1]
            torch.testing.assert_close(same(x_NCHW), symmetric(x_NCHW))


def test_padding_changes_no_parameter():
    names = [
        {name: value.shape for name, value in network.state_dict().items()}
        for network in (
            small_network(NASNET_A, conventions=Conventions(padding=padding))
            for padding in ("symmetric", "same", "timm")
        )
    ]
    assert names[0] == names[1] == names[2]


@pytest.mark.parametrize(("image_size", "agree"), [(323, True), (331, False)])
@torch.no_grad()
def test_paddings_agree_in_a_large_network_at_323_pixels(image_size, agree):
    # 161, 81, 41, 21 and 11 pixels: all are odd. (PNASNet.pytorch README)
    networks = [
        small_network(
            NASNET_A,
            image_size=image_size,
            stem="imagenet",
            num_reductions=2,
            skip_reduction_input=True,
            conventions=Conventions(padding=padding),
        )
        .eval()
        .double()
        for padding in ("symmetric", "same")
    ]
    networks[1].load_state_dict(networks[0].state_dict())
    images_NCHW = torch.randn(1, 1, image_size, image_size, dtype=torch.float64)
    maps = [network.forward_features(images_NCHW) for network in networks]
    assert torch.allclose(*maps) is agree
