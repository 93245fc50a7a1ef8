"""One module that executes any CellGenotype, at stride 1 (Normal) or 2 (Reduction).

Source for how shapes are matched: tensorflow/models slim nasnet_utils.py, class NasNetABaseCell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from raynas.genotype import NUM_INPUTS, Block, CellGenotype
from raynas.nn.drop_path import DropPath
from raynas.nn.ops import BatchNormConfig, FactorizedReduction, OpShape, build_op, relu_conv_norm


@dataclass(frozen=True, slots=True)
class CellShape:
    """Where a cell stands in its network.

    `filters` is what every state inside has; `previous_is_larger`: the previous state has twice the
    current's H x W; `previous_is_current`: there is no previous cell yet, and the current input, as it
    comes, stands in for it.
    """

    current_channels: int
    previous_channels: int
    filters: int
    stride: int = 1
    previous_is_larger: bool = False
    previous_is_current: bool = False


class Cell(nn.Module):
    """Maps (current, previous) hidden states to the next one.

    The current state always passes ReLU, 1x1, batch norm to `filters` channels. The previous one passes a
    factorised reduction if it is larger, a 1x1 if its channels differ, and nothing if it fits. Stride 2 goes
    to operations on these two states alone. States listed in concat that are still too large or too wide are
    fixed up without ReLU.
    """

    def __init__(
        self,
        genotype: CellGenotype,
        shape: CellShape,
        *,
        drop_path: float = 0.0,
        norm: BatchNormConfig | None = None,
    ) -> None:
        super().__init__()
        norm = norm or BatchNormConfig()
        self.genotype = genotype
        self.out_channels = len(genotype.concat) * shape.filters
        self.match_current = relu_conv_norm(shape.current_channels, shape.filters, norm)
        self.match_previous, previous_channels = _match_previous(shape, norm)
        channels = [shape.filters, previous_channels] + [shape.filters] * len(genotype.blocks)
        self.blocks = nn.ModuleList(
            BlockModule(block, channels, shape, drop_path, norm) for block in genotype.blocks
        )
        self.match_concat = nn.ModuleDict(
            {
                str(state): FactorizedReduction(channels[state], shape.filters, shape.stride, norm)
                for state in genotype.concat
                if state < NUM_INPUTS and (shape.stride == 2 or channels[state] != shape.filters)
            }
        )

    def forward(self, current_NCHW: Tensor, previous_NCHW: Tensor) -> Tensor:
        """(N, C, H, W) twice -> (N, out_channels, H / stride, W / stride), rounded up."""
        states = [self.match_current(current_NCHW), self.match_previous(previous_NCHW)]
        for block in self.blocks:
            states.append(block(states))
        for state, fix_up in self.match_concat.items():
            states[int(state)] = fix_up(states[int(state)])
        return torch.cat([states[state] for state in self.genotype.concat], dim=1)


class BlockModule(nn.Module):
    """Two operations and their combiner.

    A concat combiner is followed by ReLU, 1x1, batch norm back to `filters` channels, so that every state
    has the same width ("1x1 convolutions are inserted where shapes disagree", Zoph et al. 2018, A.4; the
    place is ours).
    """

    def __init__(
        self, block: Block, channels: list[int], shape: CellShape, drop_path: float, norm: BatchNormConfig
    ) -> None:
        super().__init__()
        self.input_a, self.input_b = block.input_a, block.input_b
        self.op_a = _half(block.op_a, block.input_a, channels, shape, drop_path, norm)
        self.op_b = _half(block.op_b, block.input_b, channels, shape, drop_path, norm)
        is_concat = block.combiner == "concat"
        self.merge = relu_conv_norm(2 * shape.filters, shape.filters, norm) if is_concat else None

    def forward(self, states: list[Tensor]) -> Tensor:
        half_a, half_b = self.op_a(states[self.input_a]), self.op_b(states[self.input_b])
        if self.merge is None:
            return half_a + half_b  # type: ignore[no-any-return]
        return self.merge(torch.cat([half_a, half_b], dim=1))  # type: ignore[no-any-return]


def _match_previous(shape: CellShape, norm: BatchNormConfig) -> tuple[nn.Module, int]:
    if shape.previous_is_current:
        return nn.Identity(), shape.current_channels
    if shape.previous_is_larger:
        reduction = FactorizedReduction(shape.previous_channels, shape.filters, 2, norm)
        return nn.Sequential(nn.ReLU(), reduction), shape.filters
    if shape.previous_channels != shape.filters:
        return relu_conv_norm(shape.previous_channels, shape.filters, norm), shape.filters
    return nn.Identity(), shape.filters


def _half(
    op: str, state: int, channels: list[int], shape: CellShape, drop_path: float, norm: BatchNormConfig
) -> nn.Module:
    stride = shape.stride if state < NUM_INPUTS else 1
    module = build_op(op, OpShape(channels[state], shape.filters, stride, norm))
    # Never on an identity, not even on one that projects: the reference code's rule.
    if op == "identity" or drop_path == 0.0:
        return module
    return nn.Sequential(module, DropPath(drop_path))
