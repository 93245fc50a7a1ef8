"""The NASNet search space and the cell that was found in it.

Zoph, Vasudevan, Shlens, Le, "Learning Transferable Architectures for Scalable Image Recognition"
(arXiv 1707.07012 v4), section 3: five decisions a block, B blocks a cell, a Normal and a Reduction cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Annotated

from pydantic import Field, field_validator

from raynas.errors import InvalidGenotype, did_you_mean
from raynas.genotype import (
    COMBINERS,
    MAX_BLOCKS,
    NUM_INPUTS,
    OPERATIONS,
    Block,
    CellGenotype,
    Genotype,
    loose_states,
)
from raynas.space import Actions, Decision, SearchSpace, publish, register_space

DECISIONS_PER_BLOCK = 5


@register_space("nasnet")
class NASNetSpace(SearchSpace):
    """For each block: two hidden states, an operation for each of them, and how the results are combined."""

    num_blocks: int = Field(5, ge=1, le=MAX_BLOCKS)
    """Blocks per cell; B = 5 in the paper."""
    operations: Annotated[tuple[str, ...], Field(min_length=1)] = OPERATIONS
    """Operations to choose from; the paper's 13."""
    combiners: Annotated[tuple[str, ...], Field(min_length=1)] = COMBINERS
    """'add' (element by element) and 'concat' (along the filters); ["add"] fixes the combiner."""

    @field_validator("operations", "combiners")
    @classmethod
    def _known_and_distinct(cls, words: tuple[str, ...], info: object) -> tuple[str, ...]:
        known = OPERATIONS if getattr(info, "field_name", "") == "operations" else COMBINERS
        for word in words:
            if word not in known:
                raise ValueError(f"{word!r} is unknown.{did_you_mean(word, known)} Known: {', '.join(known)}")
        if len(set(words)) < len(words):
            raise ValueError("a name is given twice")
        return words

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        return tuple(decision for cell in ("normal", "reduction") for decision in self._cell_decisions(cell))

    def decode(self, actions: Sequence[int]) -> Genotype:
        self.check(actions)
        values = [decision.choices[action] for decision, action in zip(self.decisions, actions, strict=True)]
        half = len(values) // 2
        return Genotype(self._cell(values[:half]), self._cell(values[half:]))

    def encode(self, genotype: Genotype) -> Actions:
        values = [
            *self._cell_values(genotype.normal, "normal"),
            *self._cell_values(genotype.reduction, "reduction"),
        ]
        return tuple(_index(decision, value) for decision, value in zip(self.decisions, values, strict=True))

    def _cell_decisions(self, cell: str) -> Iterator[Decision]:
        for block in range(self.num_blocks):
            where = f"{cell}.{block}"
            states = tuple(range(NUM_INPUTS + block))
            yield Decision(f"{where}.input_a", "input", states)
            yield Decision(f"{where}.input_b", "input", states)
            yield Decision(f"{where}.op_a", "op", self.operations)
            yield Decision(f"{where}.op_b", "op", self.operations)
            yield Decision(f"{where}.combiner", "combiner", self.combiners)

    def _cell(self, values: Sequence[int | str]) -> CellGenotype:
        blocks = []
        for start in range(0, len(values), DECISIONS_PER_BLOCK):
            input_a, input_b, op_a, op_b, combiner = values[start : start + DECISIONS_PER_BLOCK]
            blocks.append(Block(int(input_a), str(op_a), int(input_b), str(op_b), str(combiner)))
        return CellGenotype(tuple(blocks), loose_states(blocks))

    def _cell_values(self, cell: CellGenotype, where: str) -> Iterator[int | str]:
        if len(cell.blocks) != self.num_blocks:
            raise InvalidGenotype(
                f"{where} cell: {len(cell.blocks)} blocks; this space has {self.num_blocks}."
            )
        if cell.concat != loose_states(cell.blocks):
            raise InvalidGenotype(
                f"{where} cell, concat: {list(cell.concat)}; this space concatenates the loose "
                f"states, here {list(loose_states(cell.blocks))}."
            )
        for block in cell.blocks:
            yield from (block.input_a, block.input_b, block.op_a, block.op_b, block.combiner)


def _index(decision: Decision, value: int | str) -> int:
    if value not in decision.choices:
        raise InvalidGenotype(
            f"{decision.name}: {value!r} is not in this space. "
            f"Allowed: {', '.join(map(str, decision.choices))}."
        )
    return decision.choices.index(value)


# The official code concatenates two states that are used as well: Normal the previous hidden state (1),
# Reduction block 1's output (3). The penultimate layer's 24 F filters follow from that. (slim
# nasnet_utils.py)
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
