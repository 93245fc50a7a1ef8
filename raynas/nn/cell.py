"""One torch module that executes any CellGenotype, with stride 1 (Normal) or 2 (Reduction)."""

# Shapes: N images, C channels, H x W pixels.

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raynas.nn.cell_plan import BlockPlan, CellPlan
from raynas.nn.config import Conventions
from raynas.nn.drop_path import DropPath
from raynas.nn.layers import Layers
from raynas.nn.modules import LayerSequence, build_layers


class Cell(nn.Module):
    """Maps the current and the previous hidden state to the next one; a chained cell takes only the current.

    The inputs are matched first: the current state always passes ReLU, 1x1 convolution and norm, a larger
    previous state a factorised reduction. Only operations on the cell's inputs have stride 2. An input that
    is also an output, and still too large or too wide, is fixed up without a ReLU.
    """

    def __init__(self, plan: CellPlan, conventions: Conventions, *, drop_path: float = 0.0) -> None:
        super().__init__()
        self.plan = plan
        # A ModuleDict's keys are strings and become part of the weights' names: model folders rely on them.
        self.match = nn.ModuleDict(
            {
                str(s): build_layers(layers, conventions)
                for s, layers in zip(plan.inputs, plan.match, strict=True)
            }
        )
        self.blocks = nn.ModuleDict(
            {
                str(state - plan.num_inputs): BlockModule(block, conventions, drop_path=drop_path)
                for state, block in plan.blocks
            }
        )
        self.fix_up = nn.ModuleDict({str(s): build_layers(layers, conventions) for s, layers in plan.fix_ups})

    @property
    def out_channels(self) -> int:
        """Channels of the cell's output."""
        return self.plan.out_channels

    @property
    def rectified_inputs(self) -> frozenset[int]:
        """Which of the current (0) and the previous state (1) pass a ReLU before anything else."""
        if self.plan.is_chained:
            return frozenset()
        return frozenset(int(state) for state, match in self.match.items() if begins_with_relu(match))

    def forward(
        self, current_NCHW: Tensor, previous_NCHW: Tensor, rectified: Mapping[int, Tensor] | None = None
    ) -> Tensor:
        """Two maps (N, C, H, W) -> (N, out_channels, H / stride, W / stride), rounded up.

        Args:
            rectified: the ReLU of the current (0) and of the previous (1) map, where it is known already.
        """
        known = {} if rectified is None or self.plan.is_chained else rectified
        maps = self._inputs(current_NCHW, previous_NCHW)
        inputs = States(zip(self.plan.inputs, maps, strict=True), known)
        matched = ((int(state), inputs.through(match, int(state))) for state, match in self.match.items())
        # An input that is taken as it comes is a state itself.
        states = States(matched, {state: relu for state, relu in known.items() if self._is_state(state)})
        for index, block in self.blocks.items():
            states[self.plan.num_inputs + int(index)] = block(states)
        # After the blocks, which take the unchanged inputs.
        fixed_up = {int(state): fix_up(states[int(state)]) for state, fix_up in self.fix_up.items()}
        outputs = [fixed_up.get(state, states[state]) for state in self.plan.outputs]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)

    def _is_state(self, number: int) -> bool:
        return str(number) in self.match and isinstance(self.match[str(number)], nn.Identity)

    def _inputs(self, current_NCHW: Tensor, previous_NCHW: Tensor) -> list[Tensor]:
        if not self.plan.is_chained:
            return [(current_NCHW, previous_NCHW)[state] for state in self.plan.inputs]
        if self.plan.shape.is_first:
            return [current_NCHW] * len(self.plan.inputs)
        # The cell before concatenated its outputs; each of them is one of this cell's inputs.
        return list(current_NCHW.chunk(len(self.plan.inputs), dim=1))


class States(dict[int, Tensor]):
    """States of a cell by their numbers, and the ReLU of each, which is computed once for all operations."""

    def __init__(self, states: Iterable[tuple[int, Tensor]], relus: Mapping[int, Tensor]) -> None:
        super().__init__(states)
        self.relus = dict(relus)

    def through(self, module: nn.Module, state: int) -> Tensor:
        """What the module makes of a state."""
        if not begins_with_relu(module):
            return module(self[state])  # type: ignore[no-any-return]
        if state not in self.relus:
            self.relus[state] = F.relu(self[state])
        return module(self[state], self.relus[state])  # type: ignore[no-any-return]


def begins_with_relu(module: nn.Module) -> bool:
    """Whether the module's first layer is a ReLU."""
    return isinstance(module, LayerSequence) and module.begins_with_relu


class BlockModule(nn.Module):
    """Two operations and their combiner."""

    def __init__(self, plan: BlockPlan, conventions: Conventions, *, drop_path: float) -> None:
        super().__init__()
        block = plan.block
        self.input_a = block.input_a
        self.input_b = block.input_b
        self.is_concat = block.combiner == "concat"
        self.op_a = _half(block.op_a, plan.op_a, conventions, drop_path)
        self.op_b = _half(block.op_b, plan.op_b, conventions, drop_path)
        self.merge = build_layers(plan.merge, conventions)

    def forward(self, states: States) -> Tensor:
        """The block's state (N, filters, H, W), from the cell's states."""
        half_a, half_b = states.through(self.op_a, self.input_a), states.through(self.op_b, self.input_b)
        both = torch.cat([half_a, half_b], dim=1) if self.is_concat else half_a + half_b
        return self.merge(both)  # type: ignore[no-any-return]


def _half(op: str, layers: Layers, conventions: Conventions, drop_path: float) -> nn.Module:
    module = build_layers(layers, conventions)
    # As in the reference code, an identity is never dropped, not even one that projects.
    if op not in ("identity", "none") and drop_path > 0.0:
        assert isinstance(module, nn.Sequential)
        module.append(DropPath(drop_path))
    return module
