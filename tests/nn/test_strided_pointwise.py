"""A strided 1x1 convolution of few channels, whose weight gradient in oneDNN writes past its workspace."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from raynas.nn import Conventions
from raynas.nn.layers import Conv
from raynas.nn.modules import StridedPointwiseConv2d, build_layers

TRAINS_FEW_CHANNELS = """
import torch
from raynas.nn import Conventions
from raynas.nn.layers import conv
from raynas.nn.modules import build_layers

torch.manual_seed(0)
torch.set_num_threads(1)
for in_channels in (1, 2, 4, 7, 8, 12, 16):
    for size in (8, 32) * 10:
        module = build_layers((conv(in_channels, 8, 1, stride=2),), Conventions())
        module.to(memory_format=torch.channels_last)
        images_NCHW = torch.randn(32, in_channels, size, size).to(memory_format=torch.channels_last)
        out_NCHW = module(images_NCHW)
        weighting_NCHW = torch.randn_like(out_NCHW)
        (out_NCHW * weighting_NCHW).sum().backward()
        read_NCHW = images_NCHW[:, :, ::2, ::2].double()
        expected = torch.einsum("nchw,nkhw->kc", read_NCHW, weighting_NCHW.double())
        torch.testing.assert_close(module[0].weight.grad[:, :, 0, 0], expected.float(), rtol=1e-4, atol=1e-3)
print("trained")
"""


@pytest.mark.slow
def test_few_channels_train_channels_last():
    """In a process of its own: a heap that is overrun kills it there and then, or later."""
    done = subprocess.run(
        [sys.executable, "-c", TRAINS_FEW_CHANNELS],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr}"
    assert done.stdout.strip() == "trained"


@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize(("stride", "groups"), [((2, 2), 1), ((1, 2), 1), ((3, 1), 1), ((2, 2), 4)])
@pytest.mark.parametrize("size", [(1, 1), (7, 8), (8, 5)])
def test_it_is_the_strided_convolution(size, stride, groups, padding):
    layer = Conv(4, 8, (1, 1), stride, groups=groups)
    (module,) = build_layers((layer,), Conventions(padding=padding)).double().children()
    assert isinstance(module, StridedPointwiseConv2d)
    x_NCHW = torch.randn(2, 4, *size, dtype=torch.double, requires_grad=True)
    out_NCHW = module(x_NCHW)
    expected_NCHW = F.conv2d(x_NCHW, module.weight, stride=stride, groups=groups)
    torch.testing.assert_close(out_NCHW, expected_NCHW)
    inputs, weighting_NCHW = (x_NCHW, module.weight), torch.randn_like(out_NCHW)
    for gradient, expected in zip(
        torch.autograd.grad(out_NCHW, inputs, weighting_NCHW),
        torch.autograd.grad(expected_NCHW, inputs, weighting_NCHW),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected)


def test_channels_stay_last():
    module = build_layers((Conv(4, 8, (1, 1), (2, 2)),), Conventions())
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    out_NCHW = module(torch.rand(2, 4, 8, 8).to(memory_format=torch.channels_last))
    assert out_NCHW.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "layer",
    [
        Conv(4, 8, (1, 1)),
        Conv(4, 8, (3, 3), (2, 2)),
        Conv(4, 8, (1, 3), (1, 2)),
        Conv(16, 8, (1, 1), (2, 2)),
    ],
)
def test_convolutions_of_stride_1_wider_or_with_more_taps_are_torchs(layer):
    (module,) = build_layers((layer,), Conventions()).children()
    assert type(module) is nn.Conv2d
