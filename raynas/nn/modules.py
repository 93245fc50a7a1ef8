"""Builds layers as torch modules."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raynas.nn import cpu_training, layers
from raynas.nn.config import Conventions


def build_layers(parts: layers.Layers, conventions: Conventions) -> nn.Module:
    """The layers as one module, whose n-th child is the n-th layer; without layers it is nn.Identity."""
    if not parts:
        return nn.Identity()
    modules = [_module(part, conventions) for part in parts]
    for module in modules[1:]:
        # What comes out of the layer before is nobody else's. The input of the first layer may be.
        if isinstance(module, nn.ReLU):
            module.inplace = True
    return LayerSequence(*modules)


class LayerSequence(nn.Sequential):
    """Layers that are applied in order. Several of them may share the ReLU with which they begin."""

    @property
    def begins_with_relu(self) -> bool:
        """Whether `forward` takes `rectified`."""
        return isinstance(self[0], nn.ReLU)

    def forward(self, x: Tensor, rectified: Tensor | None = None) -> Tensor:
        """The last layer's output for `x`.

        Args:
            rectified: the ReLU of `x`, if it is known already; the first layer is then left out.
        """
        if rectified is not None:
            x = rectified
        for layer in itertools.islice(self, 0 if rectified is None else 1, None):
            x = layer(x)
        return x


@functools.singledispatch
def _module(layer: layers.Layer, conventions: Conventions) -> nn.Module:
    raise AssertionError(f"no module for {layer}")


@_module.register
def _relu(layer: layers.Relu, conventions: Conventions) -> nn.Module:
    return nn.ReLU()


@_module.register
def _norm(layer: layers.Norm, conventions: Conventions) -> nn.Module:
    return batch_norm(layer.channels, conventions)


@_module.register
def _group_norm(layer: layers.GroupNorm, conventions: Conventions) -> nn.Module:
    return GroupNorm2d(layer.groups, layer.channels, eps=conventions.norm_epsilon)


@_module.register
def _conv(layer: layers.Conv, conventions: Conventions) -> nn.Module:
    # With stride 1 and odd kernels, TensorFlow's SAME pads both sides alike, which torch's own convolution
    # does too.
    is_same = conventions.padding != "symmetric" and max(layer.stride) > 1 and not layer.is_valid
    padding = [0 if layer.is_valid or is_same else layer.dilation * (length // 2) for length in layer.kernel]
    is_strided_pointwise = layer.kernel == (1, 1) and max(layer.stride) > 1
    is_narrow = layer.in_channels // layer.groups < StridedPointwiseConv2d.VECTOR_FLOATS
    same_or_plain = SameConv2d if is_same else nn.Conv2d
    is_depthwise = layer.groups == layer.in_channels == layer.out_channels > 1 and not is_same
    module: type[nn.Conv2d] = DepthwiseConv2d if is_depthwise else same_or_plain
    if is_strided_pointwise and is_narrow:
        module = StridedPointwiseConv2d
    return module(
        layer.in_channels,
        layer.out_channels,
        layer.kernel,
        layer.stride,
        (padding[0], padding[1]),
        layer.dilation,
        layer.groups,
        bias=False,
    )


@_module.register
def _pool(layer: layers.Pool, conventions: Conventions) -> nn.Module:
    # A window of even size needs one more pixel on one side than on the other, which torch's pools can't pad.
    is_even = layer.kernel % 2 == 0
    if is_even or (conventions.padding != "symmetric" and layer.stride > 1):
        return SamePool2d(
            layer.kind, layer.kernel, layer.stride, counts_padding=conventions.padding == "timm"
        )
    if layer.kind == "max":
        return nn.MaxPool2d(layer.kernel, layer.stride, layer.kernel // 2)
    return AveragePool2d(layer.kernel, layer.stride, layer.kernel // 2, count_include_pad=False)


@_module.register
def _factorized_reduction(layer: layers.FactorizedReduction, conventions: Conventions) -> nn.Module:
    return FactorizedReduction2d(layer.in_channels, layer.out_channels, conventions)


@_module.register
def _zero(layer: layers.Zero, conventions: Conventions) -> nn.Module:
    return Zero2d(layer.out_channels, layer.stride)


def batch_norm(channels: int, conventions: Conventions) -> nn.BatchNorm2d:
    """Batch norm with the network's epsilon and momentum."""
    return BatchNorm2d(channels, eps=conventions.norm_epsilon, momentum=conventions.norm_momentum)


class BatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d with a momentum, weights and running statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> a map of equal shape."""
        if self.training and cpu_training.speeds_up_large(x):
            return cpu_training.batch_norm(x, self)
        return super().forward(x)


class GroupNorm2d(nn.GroupNorm):
    """nn.GroupNorm that also takes a single example with one number per group, which torch refuses."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> a map of equal shape."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class FactorizedReduction2d(nn.Module):
    """See layers.FactorizedReduction. Takes any size: H x W becomes ceil(H/2) x ceil(W/2)."""

    def __init__(self, in_channels: int, out_channels: int, conventions: Conventions) -> None:
        super().__init__()
        half = out_channels // 2
        # A single output channel is all path 2's; torch refuses a convolution to no channels.
        self.path_1 = nn.Conv2d(in_channels, half, 1, bias=False) if half else None
        self.path_2 = nn.Conv2d(in_channels, out_channels - half, 1, bias=False)
        self.norm = batch_norm(out_channels, conventions)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / 2, W / 2), rounded up."""
        # Padded right and below, cut off left and above: the map keeps its size and moves by one pixel, so
        # that the second grid reads the diagonal neighbours of the pixels that the first one reads.
        if x.shape[2] % 2 or x.shape[3] % 2:
            shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1::2, 1::2]
        else:
            # An even map has no pixel beyond the last that is read.
            shifted = subsampled(x, (2, 2), (1, 1))
        paths = [self.path_2(shifted)]
        if self.path_1 is not None:
            paths.insert(0, self.path_1(subsampled(x, (2, 2))))
        return self.norm(torch.cat(paths, dim=1))  # type: ignore[no-any-return]


class Zero2d(nn.Module):
    """See layers.Zero."""

    def __init__(self, out_channels: int, stride: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> zeros of (N, out_channels, H / stride, W / stride), rounded up."""
        # Multiplied instead of created, so that the input gets a gradient, of zeros.
        zeros_N1HW = x[:, :1, :: self.stride, :: self.stride] * 0.0
        return zeros_N1HW.expand(-1, self.out_channels, -1, -1)


class DepthwiseConv2d(nn.Conv2d):
    """nn.Conv2d with as many groups as channels, no bias, and a padding that keeps H x W at stride 1."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / stride, W / stride), rounded up."""
        kernel, stride, dilation = _pair(self.kernel_size), _pair(self.stride), _pair(self.dilation)
        if cpu_training.speeds_up_depthwise(x, kernel, stride, dilation):
            padding = self.padding
            assert not isinstance(padding, str)
            return cpu_training.depthwise_conv2d(x, self.weight, _pair(padding), dilation)
        return super().forward(x)


class AveragePool2d(nn.AvgPool2d):
    """nn.AvgPool2d with an odd kernel and half of it as padding, which isn't counted."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / stride, W / stride), rounded up."""
        if self.stride == 1 and cpu_training.speeds_up_large(x):
            return cpu_training.average_pool(x, self.kernel_size)  # type: ignore[arg-type]
        return super().forward(x)


def _pair(numbers: tuple[int, ...]) -> tuple[int, int]:
    first, second = numbers
    return first, second


class SameConv2d(nn.Conv2d):
    """nn.Conv2d with TensorFlow's SAME padding, which depends on the input's size."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up."""
        height, width = self.kernel_size
        spans = [self.dilation[0] * (height - 1) + 1, self.dilation[1] * (width - 1) + 1]
        return super().forward(_pad_same(x, spans, self.stride, 0.0))


class StridedPointwiseConv2d(nn.Conv2d):
    """Strided 1x1 nn.Conv2d of few channels, computed with stride 1 over the pixels that it reads.

    oneDNN's weight gradient of a strided 1x1 convolution writes past its workspace if channels are last and
    too few to fill a vector register: the process crashes, hangs or gets wrong gradients. Stride 1 has no
    such workspace. Wider convolutions stay torch's own, because this one rounds differently, and published
    weights must give the published numbers bit for bit. Source: uxlfoundation/oneDNN#6035; oneDNN 3.12 in
    torch 2.13.
    """

    VECTOR_FLOATS = 16
    """float32 numbers in a vector register of AVX-512; AVX2's holds 8."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up."""
        rows, columns = self.stride
        return F.conv2d(subsampled(x, (rows, columns)), self.weight, self.bias, groups=self.groups)


def subsampled(x: Tensor, stride: tuple[int, int], first: tuple[int, int] = (0, 0)) -> Tensor:
    """Every stride-th row and column from the first ones on."""
    if cpu_training.applies(x):
        return cpu_training.subsampled(x, stride, first)
    return x[:, :, first[0] :: stride[0], first[1] :: stride[1]]


class SamePool2d(nn.Module):
    """Pooling with TensorFlow's SAME padding.

    Args:
        kind: 'max' or 'avg'.
        counts_padding: whether an average divides by the size of the window, padding included, instead of by
            the number of the image's pixels in it.
    """

    def __init__(self, kind: str, kernel: int, stride: int, *, counts_padding: bool = False) -> None:
        super().__init__()
        self.kind = kind
        self.kernel = kernel
        self.stride = stride
        self.counts_padding = counts_padding

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / stride, W / stride), rounded up."""
        spans, strides = [self.kernel] * 2, [self.stride] * 2
        if self.kind == "max":
            # Padding of -inf never is the maximum; zeros would be, where all values are negative.
            return F.max_pool2d(_pad_same(x, spans, strides, -torch.inf), self.kernel, self.stride)
        mean = F.avg_pool2d(_pad_same(x, spans, strides, 0.0), self.kernel, self.stride)
        if self.counts_padding:
            return mean
        # The average of ones over the same windows is the share of each window that lies in the image.
        ones_11HW = x.new_ones(1, 1, *x.shape[2:])
        return mean / F.avg_pool2d(_pad_same(ones_11HW, spans, strides, 0.0), self.kernel, self.stride)

    def extra_repr(self) -> str:
        return f"{self.kind}, kernel_size={self.kernel}, stride={self.stride}"


def _pad_same(x: Tensor, spans: Sequence[int], strides: Sequence[int], value: float) -> Tensor:
    """`x` padded so that a window of `spans` pixels at `strides` gives ceil(size / stride) outputs."""
    # F.pad wants the last dimension first, so everything is walked through backwards.
    pads: list[int] = []
    for size, span, stride in zip(reversed(x.shape[2:]), reversed(spans), reversed(strides), strict=True):
        # What the last window reaches beyond the image. TensorFlow puts an odd pixel at the end, right or
        # below.
        total = max((-(-size // stride) - 1) * stride + span - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value) if any(pads) else x
