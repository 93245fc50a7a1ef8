"""Training on a CPU: operations whose gradients are slow there, computed by faster kernels of torch.

Cells consist of depthwise convolutions, norms and pools of few channels. For some of them oneDNN and torch
take up to ten times as long as for others of the same arithmetic; benchmarks/README.md has the times. The
functions here give the same values up to rounding. They are used where a gradient is computed on a CPU in
float32; everything else, such as evaluation, export and GPUs, runs torch's own operations.
"""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

MAX_KERNEL_WIDTH = 3
"""Widest depthwise kernel for which oneDNN has a fast weight gradient with channels last. Kernels of five
columns take seven times as long as those of three with as many rows.
"""
MIN_NUMBERS = 2**16
"""Numbers in a map below which the overhead of a function here, a tenth of a millisecond, outweighs its gain.
"""
MIN_LARGE_NUMBERS = 2**18
MAX_FEW_CHANNELS = 32
"""Bounds within which torch's average pool and batch norm are slow: they go through a map pixel by pixel."""
ROW_NUMBERS = 128
"""Numbers in a row when the pixels of a map are seen as a matrix: enough to fill several vector registers."""

_Pair = tuple[int, int]


def applies(x: Tensor) -> bool:
    """Whether this input is trained on by a CPU in float32, eagerly."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def speeds_up_depthwise(x: Tensor, kernel: _Pair, stride: _Pair, dilation: _Pair) -> bool:
    """Whether `depthwise_conv2d` is faster than torch's own convolution of this input."""
    is_slow = kernel[1] > MAX_KERNEL_WIDTH or max(dilation) > 1
    # Sizes last: in an export they are symbols, which a comparison would fix.
    return stride == (1, 1) and is_slow and applies(x) and x.numel() >= MIN_NUMBERS


def speeds_up_large(x: Tensor) -> bool:
    """Whether `average_pool` and `batch_norm` are faster than torch's own for this input."""
    return applies(x) and x.shape[1] <= MAX_FEW_CHANNELS and x.numel() >= MIN_LARGE_NUMBERS


def depthwise_conv2d(x: Tensor, weight: Tensor, padding: _Pair, dilation: _Pair) -> Tensor:
    """F.conv2d of stride 1 with as many groups as channels, without bias, for a padding that keeps H x W."""
    return _DepthwiseConv2d.apply(x, weight, padding, dilation)  # type: ignore[no-any-return, no-untyped-call]


class _DepthwiseConv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: _Pair, dilation: _Pair) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding, ctx.dilation = padding, dilation
        return F.conv2d(x, weight, None, 1, padding, dilation, groups=x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        padding, (step, _) = ctx.padding, ctx.dilation
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            # The transposed convolution is one with the mirrored kernel, which takes half the time.
            mirrored = weight.flip((2, 3))
            grad_x = F.conv2d(grad, mirrored, None, 1, padding, ctx.dilation, groups=x.shape[1])
        if ctx.needs_input_grad[1]:
            if step > 1:
                # A convolution of dilation d looks at every d-th pixel: it is d * d undilated ones on the
                # grids of every d-th pixel, which oneDNN computes three times as fast.
                x, grad, padding = (
                    _grids(x, step),
                    _grids(grad, step),
                    (padding[0] // step, padding[1] // step),
                )
            grad_weight = _weight_gradient(grad, x, weight, padding)
        return grad_x, grad_weight, None, None


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor, padding: _Pair) -> Tensor:
    """The gradient of an undilated depthwise kernel, in strips of few columns."""
    columns = weight.shape[3]
    # Padded here, because each strip begins at another column of the input.
    x = F.pad(x, (padding[1], padding[1]))
    strips = []
    for first in range(0, columns, MAX_KERNEL_WIDTH):
        kernel = weight[:, :, :, first : first + MAX_KERNEL_WIDTH]
        seen = x[:, :, :, first : first + grad.shape[3] + kernel.shape[3] - 1]
        gradients = torch.ops.aten.convolution_backward(
            grad,
            seen,
            kernel,
            bias_sizes=None,
            stride=(1, 1),
            padding=(padding[0], 0),
            dilation=(1, 1),
            transposed=False,
            output_padding=(0, 0),
            groups=x.shape[1],
            output_mask=(False, True, False),
        )
        strips.append(gradients[1])
    return torch.cat(strips, dim=3)


def _grids(x: Tensor, step: int) -> Tensor:
    """(N, C, H, W) -> (step * step * N, C, H / step, W / step), rounded up: every step-th pixel, beginning at
    each of the first step * step ones.
    """
    images, channels, height, width = x.shape
    rows, columns = -(-height // step), -(-width // step)
    if (rows * step, columns * step) != (height, width):
        x = F.pad(x, (0, columns * step - width, 0, rows * step - height))
    x_NHhWwC = x.permute(0, 2, 3, 1).reshape(images, rows, step, columns, step, channels)
    grids = x_NHhWwC.permute(2, 4, 0, 1, 3, 5).reshape(step * step * images, rows, columns, channels)
    return grids.permute(0, 3, 1, 2)


def subsampled(x: Tensor, stride: _Pair, first: _Pair = (0, 0)) -> Tensor:
    """(N, C, H, W) -> every stride-th row and column from the first ones on, with channels last."""
    return _Subsampled.apply(x, stride, first)  # type: ignore[no-any-return, no-untyped-call]


class _Subsampled(torch.autograd.Function):
    """The gradient of a slice is zeros, copied twice in another order of memory; this one is written once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stride: _Pair, first: _Pair) -> Tensor:
        ctx.stride, ctx.first, ctx.shape = stride, first, x.shape
        return x[:, :, first[0] :: stride[0], first[1] :: stride[1]].contiguous(
            memory_format=torch.channels_last
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        grad_x = torch.empty(ctx.shape, dtype=grad.dtype, memory_format=torch.channels_last).zero_()
        grad_x[:, :, ctx.first[0] :: ctx.stride[0], ctx.first[1] :: ctx.stride[1]] = grad
        return grad_x, None, None


def average_pool(x: Tensor, kernel: int) -> Tensor:
    """F.avg_pool2d with stride 1, an odd kernel and half of it as padding, which isn't counted."""
    return _AveragePool.apply(x, kernel)  # type: ignore[no-any-return, no-untyped-call]


class _AveragePool(torch.autograd.Function):
    """A sum over windows is a depthwise convolution with ones, and so is its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: int) -> Tensor:
        ctx.kernel, ctx.shares = kernel, _shares(x, kernel)
        return _window_sum(x, kernel).mul_(ctx.shares)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _window_sum(grad * ctx.shares, ctx.kernel), None


def _window_sum(x: Tensor, kernel: int) -> Tensor:
    ones = x.new_ones(x.shape[1], 1, kernel, kernel)
    return F.conv2d(x, ones, padding=kernel // 2, groups=x.shape[1])


def _shares(x: Tensor, kernel: int) -> Tensor:
    """(1, 1, H, W): one divided by the pixels of the image in the window around each."""
    half = kernel // 2
    counts = []
    for size in x.shape[2:]:
        places = torch.arange(size)
        counts.append((places + half).clamp(max=size - 1) - (places - half).clamp(min=0) + 1)
    counts_11HW = (counts[0][:, None] * counts[1][None, :])[None, None]
    return counts_11HW.to(x.dtype).reciprocal()


def batch_norm(x: Tensor, norm: torch.nn.BatchNorm2d) -> Tensor:
    """What `norm` gives in training; moves its running statistics."""
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    return _BatchNorm.apply(  # type: ignore[no-any-return, no-untyped-call]
        x, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.momentum, norm.eps
    )


class _BatchNorm(torch.autograd.Function):
    """Batch norm by elementwise operations on rows of several pixels.

    torch's own kernels go through a map with channels last pixel by pixel, which are few numbers each.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        rows = _rows(x)
        channels = x.shape[1]
        num_pixels = x.numel() // channels
        mean_C = _column_sums(rows, channels) / num_pixels
        centred = rows - _repeated(mean_C, rows)
        # The memory of the squares becomes the output.
        y = torch.empty_like(x)
        squares = torch.mul(centred, centred, out=_rows(y))
        var_C = _column_sums(squares, channels) / num_pixels
        inverse_std_C = (var_C + eps).rsqrt()
        running_mean.lerp_(mean_C, momentum)
        # Running variances are those of a population of which this batch is a sample.
        running_var.lerp_(var_C * (num_pixels / max(num_pixels - 1, 1)), momentum)
        ctx.save_for_backward(centred, weight, inverse_std_C)
        scale = _repeated(weight * inverse_std_C, rows)
        torch.addcmul(_repeated(bias, rows), centred, scale, out=squares)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        centred, weight, inverse_std_C = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        rows = _rows(grad)
        channels = grad.shape[1]
        num_pixels = grad.numel() // channels
        grad_bias_C = _column_sums(rows, channels)
        grad_x = torch.empty_like(grad)
        products = torch.mul(rows, centred, out=_rows(grad_x))
        grad_weight_C = _column_sums(products, channels) * inverse_std_C
        # dx = weight / std * (dy - mean(dy) - x_hat * mean(dy * x_hat)): a sum of dy, `centred` and a shift.
        scale_C = weight * inverse_std_C
        slope_C = -scale_C * inverse_std_C * grad_weight_C / num_pixels
        shift_C = -scale_C * grad_bias_C / num_pixels
        torch.addcmul(_repeated(shift_C, rows), centred, _repeated(slope_C, rows), out=products)
        products.addcmul_(rows, _repeated(scale_C, rows))
        return grad_x, grad_weight_C, grad_bias_C, None, None, None, None


def _rows(x: Tensor) -> Tensor:
    """(N, C, H, W) with channels last -> a view of shape (N * H * W / k, k * C), with rows of k pixels."""
    channels = x.shape[1]
    num_pixels = x.numel() // channels
    pixels = 1
    while pixels * channels < ROW_NUMBERS and num_pixels % (2 * pixels) == 0:
        pixels *= 2
    return x.permute(0, 2, 3, 1).view(num_pixels // pixels, pixels * channels)


def _column_sums(rows: Tensor, channels: int) -> Tensor:
    """The sum of each channel (C,)."""
    return rows.sum(0).view(-1, channels).sum(0)


def _repeated(values_C: Tensor, rows: Tensor) -> Tensor:
    """One value per channel as a row of several pixels."""
    return values_C.repeat(rows.shape[1] // len(values_C))
