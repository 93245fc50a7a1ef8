"""The DARTS search space, and the two cells that were found in it.

Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search" (arXiv 1806.09055), sections 2.1 and 2.4: a
block adds two operations on two different states, and every block is part of the output. The operation `none`
belongs to the relaxation and is never part of a found cell, so it isn't among the choices.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from raynas.cells.block import MAX_BLOCKS, NUM_INPUTS, OPERATIONS, Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.cells.published import publish
from raynas.cells.space import Actions, Decision, SearchSpace, register_space
from raynas.errors import InvalidGenotype
from search_spaces.nasnet import check_names, index_of

DARTS_OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "identity",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


@register_space("darts")
class DartsSpace(SearchSpace):
    """For each block: a pair of different states, written '0+2', and an operation on each of them.

    For the first block the cell's two inputs are the only pair.
    """

    # cnn/model.py: both inputs always pass a 1x1 convolution, or a factorised reduction after a Reduction
    # cell. An identity of stride 2 is one too, nothing comes before the pooling, and drop path is equal for
    # all cells.
    network: ClassVar[Mapping[str, Any]] = {
        "conventions": {"match_previous": "always", "strided_identity": "relu_factorized"},
        "head": "plain",
        "auxiliary_kind": "darts",
        "drop_path_by_depth": False,
    }

    num_blocks: int = Field(4, ge=1, le=MAX_BLOCKS)
    """Number of blocks per cell, all of which are concatenated; 4 in the paper."""
    operations: Annotated[tuple[str, ...], Field(min_length=1)] = DARTS_OPERATIONS
    """Operations to choose from; the paper's seven."""

    @field_validator("operations")
    @classmethod
    def _known_and_distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return check_names(names, OPERATIONS)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        return tuple(
            decision
            for cell in ("normal", "reduction")
            for block in range(self.num_blocks)
            for decision in self._block_decisions(f"{cell}.{block}", NUM_INPUTS + block)
        )

    def decode(self, actions: Sequence[int]) -> Genotype:
        self.check(actions)
        values = [decision.choices[action] for decision, action in zip(self.decisions, actions, strict=True)]
        middle = len(values) // 2
        return Genotype(self._cell(values[:middle]), self._cell(values[middle:]))

    def encode(self, genotype: Genotype) -> Actions:
        """The actions that decode to `genotype`; the halves of its blocks may come in either order."""
        values = [
            *self._cell_values(genotype.normal, "normal cell"),
            *self._cell_values(genotype.reduction, "reduction cell"),
        ]
        return tuple(
            index_of(decision, value) for decision, value in zip(self.decisions, values, strict=True)
        )

    def _block_decisions(self, where: str, num_states: int) -> Iterator[Decision]:
        # One decision for both inputs: two separate ones could choose the same state, or the same pair in two
        # orders.
        pairs = tuple(f"{a}+{b}" for a, b in itertools.combinations(range(num_states), 2))
        yield Decision(f"{where}.inputs", "input", pairs)
        yield Decision(f"{where}.op_a", "op", self.operations)
        yield Decision(f"{where}.op_b", "op", self.operations)

    def _cell(self, values: Sequence[int | str]) -> CellGenotype:
        blocks = []
        # Three decisions per block: the pair of inputs and an operation on each.
        for start in range(0, len(values), 3):
            pair, op_a, op_b = map(str, values[start : start + 3])
            input_a, input_b = map(int, pair.split("+"))
            blocks.append(Block(input_a, op_a, input_b, op_b))
        return CellGenotype(tuple(blocks), self._outputs)

    def _cell_values(self, cell: CellGenotype, where: str) -> Iterator[str]:
        self._check_shape(cell, where)
        for index, block in enumerate(cell.blocks):
            if block.input_a == block.input_b:
                raise InvalidGenotype(
                    f"{where}, block {index}: takes state {block.input_a} twice; in this space the two "
                    "states of a block differ."
                )
            if block.combiner != "add":
                raise InvalidGenotype(
                    f"{where}, block {index}, combiner: {block.combiner!r} is not in this space. "
                    "Allowed: add."
                )
            # The lower state first, as in the names of the pairs. In published cells it may be the second
            # half.
            (input_a, op_a), (input_b, op_b) = sorted(
                [(block.input_a, block.op_a), (block.input_b, block.op_b)]
            )
            yield from (f"{input_a}+{input_b}", op_a, op_b)

    def _check_shape(self, cell: CellGenotype, where: str) -> None:
        if cell.num_inputs != NUM_INPUTS:
            raise InvalidGenotype(f"{where}: {cell.num_inputs} inputs; this space has {NUM_INPUTS}.")
        if len(cell.blocks) != self.num_blocks:
            raise InvalidGenotype(f"{where}: {len(cell.blocks)} blocks; this space has {self.num_blocks}.")
        if cell.concat != self._outputs:
            raise InvalidGenotype(
                f"{where}, concat: {list(cell.concat)}; in this space every block is concatenated: "
                f"{list(self._outputs)}."
            )

    @property
    def _outputs(self) -> tuple[int, ...]:
        return tuple(range(NUM_INPUTS, NUM_INPUTS + self.num_blocks))


# The original listings number the inputs the other way round: there 0 is h_(i-1) and 1 is h_i.
DARTS_V1 = publish(
    "darts_v1",
    Genotype(
        normal=CellGenotype(
            blocks=(
                Block(0, "sep_conv_3x3", 1, "sep_conv_3x3"),
                Block(1, "identity", 0, "sep_conv_3x3"),
                Block(1, "identity", 0, "sep_conv_3x3"),
                Block(1, "sep_conv_3x3", 2, "identity"),
            ),
            concat=(2, 3, 4, 5),
        ),
        reduction=CellGenotype(
            blocks=(
                Block(1, "max_pool_3x3", 0, "max_pool_3x3"),
                Block(2, "identity", 1, "max_pool_3x3"),
                Block(1, "max_pool_3x3", 2, "identity"),
                Block(2, "identity", 1, "avg_pool_3x3"),
            ),
            concat=(2, 3, 4, 5),
        ),
    ),
    source="Liu et al. 2019, arXiv 1806.09055, first order; quark0/darts cnn/genotypes.py, DARTS_V1",
)

DARTS_V2 = publish(
    "darts_v2",
    Genotype(
        normal=CellGenotype(
            blocks=(
                Block(1, "sep_conv_3x3", 0, "sep_conv_3x3"),
                Block(1, "sep_conv_3x3", 0, "sep_conv_3x3"),
                Block(0, "sep_conv_3x3", 1, "identity"),
                Block(1, "identity", 2, "dil_conv_3x3"),
            ),
            concat=(2, 3, 4, 5),
        ),
        reduction=CellGenotype(
            blocks=(
                Block(1, "max_pool_3x3", 0, "max_pool_3x3"),
                Block(2, "identity", 0, "max_pool_3x3"),
                Block(1, "max_pool_3x3", 2, "identity"),
                Block(2, "identity", 0, "max_pool_3x3"),
            ),
            concat=(2, 3, 4, 5),
        ),
    ),
    source="Liu et al. 2019, arXiv 1806.09055, second order; quark0/darts cnn/genotypes.py, DARTS_V2",
)
