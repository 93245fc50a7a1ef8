"""The NASNet search space, and the cell that was found in it.

Zoph, Vasudevan, Shlens, Le, "Learning Transferable Architectures for Scalable Image Recognition"
(arXiv 1707.07012 v4), section 3: five decisions per block, B blocks per cell, a Normal and a Reduction cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from raynas.cells.block import COMBINERS, MAX_BLOCKS, NUM_INPUTS, OPERATIONS, Block
from raynas.cells.genotype import CellGenotype, Genotype, loose_states
from raynas.cells.published import publish
from raynas.cells.space import Actions, Decision, SearchSpace, register_space
from raynas.errors import InvalidGenotype, did_you_mean

NASNET_OPERATIONS = OPERATIONS[:13]
"""The 13 operations of section 3, in the paper's order."""


@register_space("nasnet")
class NASNetSpace(SearchSpace):
    """For each block: two hidden states, an operation on each of them, and how the results are combined."""

    cells: ClassVar[tuple[str, ...]] = ("normal", "reduction")
    """The cells that are searched; a single one serves as both."""
    num_inputs: ClassVar[int] = NUM_INPUTS

    num_blocks: int = Field(5, ge=1, le=MAX_BLOCKS)
    """Number of blocks per cell; B = 5 in the paper."""
    operations: Annotated[tuple[str, ...], Field(min_length=1)] = NASNET_OPERATIONS
    """Operations to choose from; the paper's 13."""
    combiners: Annotated[tuple[str, ...], Field(min_length=1)] = ("add", "concat")
    """Combiners to choose from: 'add' and 'concat' (along channels). A single one is no decision."""

    @field_validator("operations", "combiners")
    @classmethod
    def _known_and_distinct(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        # A name given twice would give one choice two actions, and `encode` could not tell which it was.
        return check_names(names, OPERATIONS if info.field_name == "operations" else COMBINERS)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        return tuple(decision for cell in self.cells for decision in self._cell_decisions(cell))

    def decode(self, actions: Sequence[int]) -> Genotype:
        self.check(actions)
        values = [decision.choices[action] for decision, action in zip(self.decisions, actions, strict=True)]
        # All cells of a space have the same decisions, so the values fall into parts of equal length.
        length = len(values) // len(self.cells)
        cells = [self._cell(values[start : start + length]) for start in range(0, len(values), length)]
        # Where one cell is searched, the first is also the last.
        return Genotype(normal=cells[0], reduction=cells[-1])

    def encode(self, genotype: Genotype) -> Actions:
        if len(self.cells) == 1 and genotype.normal != genotype.reduction:
            raise InvalidGenotype("reduction cell: this space has one cell, which is the reduction cell too.")
        cells = [("normal", genotype.normal), ("reduction", genotype.reduction)]
        values = [
            value for where, cell in cells[: len(self.cells)] for value in self._cell_values(cell, where)
        ]
        return tuple(
            index_of(decision, value) for decision, value in zip(self.decisions, values, strict=True)
        )

    def outputs(self, blocks: Sequence[Block]) -> tuple[int, ...]:
        """The states that form the output of a cell with these blocks."""
        return loose_states(blocks, self.num_inputs)

    def _cell_decisions(self, cell: str) -> Iterator[Decision]:
        for block in range(self.num_blocks):
            where = f"{cell}.{block}"
            states = tuple(range(self.num_inputs + block))
            # The five steps of the paper's algorithm, in its order. With a single combiner the fifth is left
            # out, as a decision without a choice would only lengthen the controller's sequence.
            yield Decision(f"{where}.input_a", "input", states)
            yield Decision(f"{where}.input_b", "input", states)
            yield Decision(f"{where}.op_a", "op", self.operations)
            yield Decision(f"{where}.op_b", "op", self.operations)
            if len(self.combiners) > 1:
                yield Decision(f"{where}.combiner", "combiner", self.combiners)

    def _cell(self, values: Sequence[int | str]) -> CellGenotype:
        length = len(values) // self.num_blocks
        blocks = []
        for start in range(0, len(values), length):
            input_a, input_b, op_a, op_b, *combiner = values[start : start + length]
            blocks.append(
                # Without a decision, `combiner` is empty, and the space's only one takes its place.
                Block(int(input_a), str(op_a), int(input_b), str(op_b), str((*combiner, *self.combiners)[0]))
            )
        return CellGenotype(tuple(blocks), self.outputs(blocks), self.num_inputs)

    def _cell_values(self, cell: CellGenotype, where: str) -> Iterator[int | str]:
        self._check_shape(cell, where)
        for index, block in enumerate(cell.blocks):
            yield from (block.input_a, block.input_b, block.op_a, block.op_b)
            if len(self.combiners) > 1:
                yield block.combiner
            elif block.combiner != self.combiners[0]:
                raise InvalidGenotype(
                    f"{where} cell, block {index}, combiner: {block.combiner!r} is not in this space. "
                    f"Allowed: {self.combiners[0]}."
                )

    def _check_shape(self, cell: CellGenotype, where: str) -> None:
        if cell.num_inputs != self.num_inputs:
            raise InvalidGenotype(
                f"{where} cell: {cell.num_inputs} inputs; this space has {self.num_inputs}."
            )
        if len(cell.blocks) != self.num_blocks:
            raise InvalidGenotype(
                f"{where} cell: {len(cell.blocks)} blocks; this space has {self.num_blocks}."
            )
        if cell.concat != self.outputs(cell.blocks):
            raise InvalidGenotype(
                f"{where} cell, concat: {list(cell.concat)}; in this space these blocks give out the states "
                f"{list(self.outputs(cell.blocks))}."
            )


def check_names(names: tuple[str, ...], known: Sequence[str]) -> tuple[str, ...]:
    """Returns `names` for a field validator; ValueError unless all are known and no two are the same."""
    for name in names:
        if name not in known:
            raise ValueError(f"{name!r} is unknown.{did_you_mean(name, known)} Known: {', '.join(known)}")
    if len(set(names)) < len(names):
        raise ValueError("a name is given twice")
    return names


def index_of(decision: Decision, value: int | str) -> int:
    """The action that chooses `value`; InvalidGenotype if it is not among the choices."""
    if value not in decision.choices:
        raise InvalidGenotype(
            f"{decision.name}: {value!r} is not in this space. "
            f"Allowed: {', '.join(map(str, decision.choices))}."
        )
    return decision.choices.index(value)


# The official code also concatenates one state of each cell that is used: the previous hidden state (1) in
# the Normal cell, the output of block 1 (3) in the Reduction cell. This gives the penultimate layer its 24 F
# filters (slim nasnet_utils.py).
NASNET_A = publish(
    "nasnet_a",
    Genotype(
        normal=CellGenotype(
            blocks=(
                Block(0, "sep_conv_5x5", 1, "sep_conv_3x3"),
                Block(1, "sep_conv_5x5", 1, "sep_conv_3x3"),
                Block(0, "avg_pool_3x3", 1, "identity"),
                Block(1, "avg_pool_3x3", 1, "avg_pool_3x3"),
                Block(0, "sep_conv_3x3", 0, "identity"),
            ),
            concat=(1, 2, 3, 4, 5, 6),
        ),
        reduction=CellGenotype(
            blocks=(
                Block(0, "sep_conv_5x5", 1, "sep_conv_7x7"),
                Block(0, "max_pool_3x3", 1, "sep_conv_7x7"),
                Block(0, "avg_pool_3x3", 1, "sep_conv_5x5"),
                Block(3, "identity", 2, "avg_pool_3x3"),
                Block(2, "sep_conv_3x3", 0, "max_pool_3x3"),
            ),
            concat=(3, 4, 5, 6),
        ),
    ),
    source="Zoph et al. 2018, arXiv 1707.07012, figure 4; concat: tensorflow/models slim nasnet_utils.py",
)

# Here only states that no block takes are concatenated, as the search space says: 5 and 3 of them. This is
# the version that Liu et al. 2019 trained.
NASNET_A_DARTS = publish(
    "nasnet_a_darts",
    Genotype(
        normal=replace(NASNET_A.normal, concat=(2, 3, 4, 5, 6)),
        reduction=replace(NASNET_A.reduction, concat=(4, 5, 6)),
    ),
    source="Zoph et al. 2018, arXiv 1707.07012, in the version of quark0/darts cnn/genotypes.py",
)
