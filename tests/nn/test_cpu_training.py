"""Training on a CPU: other kernels, the same values; and where they are used."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from raynas.cells.published import published_cell
from raynas.nn import NetworkConfig, NetworkSpec, cpu_training
from raynas.nn.modules import AveragePool2d, BatchNorm2d, DepthwiseConv2d, LayerSequence

SIZES = [(8, 8), (9, 7), (5, 12), (2, 3), (1, 1)]


def random_map(channels: int, size: tuple[int, int], *, dtype: torch.dtype = torch.float64) -> Tensor:
    x_NCHW = torch.randn(3, channels, *size, dtype=dtype, generator=torch.Generator().manual_seed(sum(size)))
    return x_NCHW.contiguous(memory_format=torch.channels_last).requires_grad_()


def assert_same(fast: Callable[..., Tensor], plain: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Values and gradients agree, in an arithmetic in which rounding can't hide a mistake."""
    expected, given = plain(*inputs), fast(*inputs)
    torch.testing.assert_close(given, expected, rtol=1e-10, atol=1e-12)
    grad = torch.randn(expected.shape, dtype=expected.dtype, generator=torch.Generator().manual_seed(1))
    for one, other in zip(
        torch.autograd.grad(given, inputs, grad), torch.autograd.grad(expected, inputs, grad), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (7, 7), (3, 7), (5, 3), (1, 7)])
def test_a_depthwise_convolution_is_torchs(
    size: tuple[int, int], dilation: int, kernel: tuple[int, int]
) -> None:
    padding = dilation * (kernel[0] // 2), dilation * (kernel[1] // 2)
    weight = torch.randn(4, 1, *kernel, dtype=torch.float64, requires_grad=True)
    assert_same(
        lambda x, w: cpu_training.depthwise_conv2d(x, w, padding, (dilation, dilation)),
        lambda x, w: F.conv2d(x, w, None, 1, padding, dilation, groups=4),
        random_map(4, size),
        weight,
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", [3, 5])
def test_an_average_pool_is_torchs(size: tuple[int, int], kernel: int) -> None:
    assert_same(
        lambda x: cpu_training.average_pool(x, kernel),
        lambda x: F.avg_pool2d(x, kernel, 1, kernel // 2, count_include_pad=False),
        random_map(4, size),
    )


@pytest.mark.parametrize("first", [(0, 0), (1, 1), (0, 1)])
@pytest.mark.parametrize("size", [(8, 8), (9, 7), (2, 3)])
def test_a_subsampled_map_is_a_slice(size: tuple[int, int], first: tuple[int, int]) -> None:
    rows, columns = first
    assert_same(
        lambda x: cpu_training.subsampled(x, (2, 2), first),
        lambda x: x[:, :, rows::2, columns::2],
        random_map(4, size),
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 4, 200])
def test_a_batch_norm_is_torchs(size: tuple[int, int], channels: int) -> None:
    norms = [torch.nn.BatchNorm2d(channels, eps=1e-3, momentum=0.3).double() for _ in "ab"]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, generator=torch.Generator().manual_seed(2))
        torch.nn.init.uniform_(norm.bias, generator=torch.Generator().manual_seed(3))

    def same_parameters(norm: torch.nn.BatchNorm2d, by: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def normalised(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            del norm.weight, norm.bias
            norm.weight, norm.bias = weight, bias  # type: ignore[assignment]
            return by(x, norm)

        return normalised

    parameters = [value.detach().clone().requires_grad_() for value in (norms[0].weight, norms[0].bias)]
    assert_same(
        same_parameters(norms[0], cpu_training.batch_norm),
        same_parameters(norms[1], lambda x, norm: norm(x)),
        # Far from zero, where variances lose digits.
        (random_map(channels, size).detach() + 100).requires_grad_(),
        *parameters,
    )
    for one, other in zip(norms[0].buffers(), norms[1].buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_that_are_not_asked_for_are_not_computed() -> None:
    x_NCHW, weight = random_map(4, (8, 8)), torch.randn(4, 1, 5, 5, dtype=torch.float64)
    cpu_training.depthwise_conv2d(x_NCHW, weight, (2, 2), (1, 1)).sum().backward()
    assert x_NCHW.grad is not None and weight.grad is None


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the functions that were used."""
    used: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        function = getattr(cpu_training, name)

        def call(*arguments: Any) -> Any:
            used.append(name)
            return function(*arguments)

        return call

    for name in ("depthwise_conv2d", "average_pool", "batch_norm"):
        monkeypatch.setattr(cpu_training, name, noted(name))
    return used


LARGE = (8, 8, 64, 64)


def large_map(**options: Any) -> Tensor:
    return torch.randn(LARGE, **options).contiguous(memory_format=torch.channels_last)


def test_wide_kernels_and_large_maps_are_computed_so_in_training(calls: list[str]) -> None:
    DepthwiseConv2d(8, 8, (5, 5), padding=(2, 2), groups=8, bias=False)(large_map())
    DepthwiseConv2d(8, 8, (3, 3), padding=(2, 2), dilation=(2, 2), groups=8, bias=False)(large_map())
    AveragePool2d(3, 1, 1, count_include_pad=False)(large_map())
    BatchNorm2d(8)(large_map())
    assert calls == ["depthwise_conv2d", "depthwise_conv2d", "average_pool", "batch_norm"]


def test_what_torch_does_well_is_left_to_torch(calls: list[str]) -> None:
    convolution = DepthwiseConv2d(8, 8, (5, 5), padding=(2, 2), groups=8, bias=False)
    pool = AveragePool2d(3, 1, 1, count_include_pad=False)
    for module in (convolution, pool, BatchNorm2d(8)):
        module(large_map()[:1, :, :8, :8])
        module(large_map().contiguous())
        with torch.no_grad():
            module(large_map())
        with torch.autocast("cpu", torch.bfloat16):
            module(large_map())
        module.double()(large_map(dtype=torch.float64))
    DepthwiseConv2d(8, 8, (3, 3), padding=(1, 1), groups=8, bias=False)(large_map())
    DepthwiseConv2d(8, 8, (5, 5), stride=(2, 2), padding=(2, 2), groups=8, bias=False)(large_map())
    AveragePool2d(3, 2, 1, count_include_pad=False)(large_map())
    BatchNorm2d(8).eval()(large_map())
    assert calls == []


@pytest.mark.parametrize("cell", ["nasnet_a", "darts_v2", "pnasnet5"])
def test_a_network_has_the_gradients_that_it_has_by_torchs_kernels(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float64, as norms of few pixels make much of a difference in the last bit."""
    config = NetworkConfig(cells_per_stack=1, filters=4, auxiliary_head=False)
    torch.manual_seed(0)
    network = NetworkSpec(published_cell(cell).genotype, config, 3, 5, 32).build().double().train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images_NCHW = torch.randn(16, 3, 32, 32, dtype=torch.float64).to(memory_format=torch.channels_last)

    def gradients() -> list[Tensor]:
        output = network(images_NCHW)
        loss = F.cross_entropy(output, torch.arange(16) % 5)
        return [loss.detach(), *torch.autograd.grad(loss, list(network.parameters()))]

    expected = gradients()
    for bound in ("MIN_LARGE_NUMBERS", "MIN_NUMBERS"):
        monkeypatch.setattr(cpu_training, bound, 1)
    monkeypatch.setattr(cpu_training, "applies", lambda x: x.is_contiguous(memory_format=torch.channels_last))
    for one, other in zip(gradients(), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_the_relu_of_a_state_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In NASNet-A's cell, five separable convolutions begin with the ReLU of two states."""
    config = NetworkConfig(cells_per_stack=2, filters=4, auxiliary_head=False)
    network = NetworkSpec(published_cell("nasnet_a").genotype, config, 3, 5, 32).build()
    seen: list[int] = []
    relu = F.relu

    def counted(x: Tensor, inplace: bool = False) -> Tensor:
        if not inplace:
            # A tensor that was freed may give its address to the next, so it is kept.
            kept.append(x)
            seen.append(x.data_ptr())
        return relu(x, inplace=inplace)

    kept: list[Tensor] = []
    monkeypatch.setattr(F, "relu", counted)
    network.train()(torch.randn(2, 3, 32, 32))
    assert len(seen) == len(set(seen)) > 0


def test_a_sequence_leaves_out_the_relu_that_is_known() -> None:
    sequence = LayerSequence(torch.nn.ReLU(), torch.nn.Conv2d(2, 3, 1))
    x_NCHW = torch.randn(1, 2, 4, 4)
    assert torch.equal(sequence(x_NCHW, x_NCHW.relu()), sequence(x_NCHW))
    assert not torch.equal(sequence(x_NCHW, x_NCHW), sequence(x_NCHW))
