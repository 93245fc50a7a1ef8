"""Cells and architectures as values. Pure Python.

State 0 is the current hidden state h_i, state 1 the previous one h_(i-1), state 2 + k the output of block k.
This is the convention of the TensorFlow reference code; code of the DARTS family swaps 0 and 1.
Source: Zoph et al. 2018 (arXiv 1707.07012), section 3.

A cell with another number of inputs than two is chained: its inputs are the outputs of the one cell before
it, and nothing is concatenated. NASNet-B has four inputs, NAS-Bench-201 one.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raynas.cells.block import BLOCK_FIELDS, MAX_BLOCKS, MAX_INPUTS, NUM_INPUTS, Block, check_block
from raynas.cells.canonical import smallest_writing
from raynas.errors import InvalidGenotype, did_you_mean
from raynas.files import parse_json


@dataclass(frozen=True, slots=True)
class CellGenotype:
    """Blocks in the order in which they are computed, and the states that form the cell's output.

    `concat` lists the states that are concatenated. It is explicit because published cells don't follow the
    rule "all unused states". In a chained cell (`num_inputs` other than 2) it lists, in order, the outputs
    that become the next cell's inputs.

    Raises:
        InvalidGenotype: the blocks don't form a cell; the message names the block and the field.
    """

    blocks: tuple[Block, ...]
    concat: tuple[int, ...]
    num_inputs: int = NUM_INPUTS

    def __post_init__(self) -> None:
        # With lists the value would be neither hashable nor equal to one made with tuples.
        object.__setattr__(self, "blocks", tuple(self.blocks))
        object.__setattr__(self, "concat", tuple(self.concat))
        if not 1 <= len(self.blocks) <= MAX_BLOCKS:
            raise InvalidGenotype(f"a cell has 1 to {MAX_BLOCKS} blocks; this one has {len(self.blocks)}.")
        if type(self.num_inputs) is not int or not 1 <= self.num_inputs <= MAX_INPUTS:
            raise InvalidGenotype(f"num_inputs: {self.num_inputs!r}; a cell has 1 to {MAX_INPUTS} inputs.")
        for index, block in enumerate(self.blocks):
            check_block(index, block, self.num_inputs)
        _check_concat(self)
        _check_no_dead_block(self)

    @property
    def is_chained(self) -> bool:
        """Whether the inputs are the separate outputs of the one cell before."""
        return self.num_inputs != NUM_INPUTS

    @property
    def num_states(self) -> int:
        """Number of states: inputs and blocks."""
        return self.num_inputs + len(self.blocks)

    def canonical(self) -> CellGenotype:
        """This graph in its canonical form, which is equal for equal graphs.

        Among all orders in which the blocks can be computed, it has the one whose sequence of blocks is
        smallest, with the halves of a commutative combiner sorted. The order of channels in the output is not
        part of the graph.
        """
        keys, concat = smallest_writing(self.blocks, self.concat, self.num_inputs)
        # A key begins with the combiner, because blocks are sorted by it first; a Block ends with it.
        blocks = tuple(Block(a, op_a, b, op_b, combiner) for combiner, a, op_a, b, op_b in keys)
        return CellGenotype(blocks, concat, self.num_inputs)


@dataclass(frozen=True, slots=True)
class Genotype:
    """An architecture: a Normal cell, and a Reduction cell whose operations on its inputs have stride 2."""

    normal: CellGenotype
    reduction: CellGenotype

    def __post_init__(self) -> None:
        if self.normal.num_inputs != self.reduction.num_inputs:
            raise InvalidGenotype(
                f"num_inputs: the normal cell has {self.normal.num_inputs}, the reduction cell "
                f"{self.reduction.num_inputs}. Cells of one network take equally many."
            )

    def canonical(self) -> Genotype:
        """Both cells in their canonical form."""
        return Genotype(self.normal.canonical(), self.reduction.canonical())

    @property
    def arch_id(self) -> str:
        """First 12 hex digits of the canonical form's SHA-256: equal for equal graphs, in every process."""
        # Journals, memos and MLflow hold these ids, so neither this text nor the hash may ever change. 12 hex
        # digits are 48 bits: among a million architectures, any two share an id with probability 1/500.
        text = json.dumps(self.canonical().to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _repr_svg_(self) -> str:
        """Both cells, for notebooks."""
        # By name, because the drawings stand above the language that they draw.
        drawings = importlib.import_module("raynas.cells.draw")
        return str(drawings.genotype_svg(self, title=self.arch_id))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; only a chained cell has the key `num_inputs`."""
        return {"normal": _cell_to_dict(self.normal), "reduction": _cell_to_dict(self.reduction)}

    def to_json(self) -> str:
        """The genotype as JSON on one line, which `from_json` reads."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, value: Any) -> Genotype:
        """The genotype that `to_dict` wrote; InvalidGenotype names the cell, block and field of an error."""
        _check_keys(value, ("normal", "reduction"), "the genotype")
        return cls(
            _cell_from_dict(value["normal"], "normal cell"),
            _cell_from_dict(value["reduction"], "reduction cell"),
        )

    @classmethod
    def from_json(cls, text: str) -> Genotype:
        """The genotype that `to_json` wrote; raises what `from_dict` raises."""
        try:
            value = parse_json(text)
        except ValueError as error:
            raise InvalidGenotype(f"the genotype is no JSON: {error}.") from error
        return cls.from_dict(value)


def loose_states(blocks: Sequence[Block], num_inputs: int = NUM_INPUTS) -> tuple[int, ...]:
    """States that no block takes as an input, which the search space concatenates (section 3).

    They include inputs of the cell that no block takes, so that nothing is computed in vain.
    """
    used = {state for block in blocks for state in (block.input_a, block.input_b)}
    return tuple(state for state in range(num_inputs + len(blocks)) if state not in used)


def _check_concat(cell: CellGenotype) -> None:
    for state in cell.concat:
        if type(state) is not int or not 0 <= state < cell.num_states:
            raise InvalidGenotype(
                f"concat: there is no state {state!r}; states are 0..{cell.num_states - 1}."
            )
    # A chained cell's outputs are the next cell's inputs one by one, so both the number and the order count,
    # and a state can't stand for two of them.
    if cell.is_chained:
        if len(cell.concat) != cell.num_inputs or len(set(cell.concat)) < len(cell.concat):
            raise InvalidGenotype(
                f"concat: {list(cell.concat)} must name {cell.num_inputs} different states: a chained cell "
                "has as many outputs as inputs."
            )
    # One order for one set of states, since the order of channels is not part of the graph.
    elif not cell.concat or list(cell.concat) != sorted(set(cell.concat)):
        raise InvalidGenotype(
            f"concat: {list(cell.concat)} must name at least one state, in ascending order, each once."
        )


def _check_no_dead_block(cell: CellGenotype) -> None:
    for state in loose_states(cell.blocks, cell.num_inputs):
        if state >= cell.num_inputs and state not in cell.concat:
            raise InvalidGenotype(
                f"block {state - cell.num_inputs}: its output (state {state}) goes nowhere. "
                "Use it in a later block or name it in concat."
            )


def _check_keys(value: Any, expected: Sequence[str], where: str) -> None:
    if not isinstance(value, Mapping):
        raise InvalidGenotype(
            f"{where}: expected an object with {', '.join(expected)}; got {type(value).__name__}."
        )
    for key in expected:
        if key not in value:
            raise InvalidGenotype(f"{where}: the field {key!r} is missing.")
    for key in value:
        if key not in expected:
            raise InvalidGenotype(f"{where}: the field {key!r} is unknown.{did_you_mean(str(key), expected)}")


def _cell_to_dict(cell: CellGenotype) -> dict[str, Any]:
    value: dict[str, Any] = {
        "blocks": [{name: getattr(block, name) for name in BLOCK_FIELDS} for block in cell.blocks],
        "concat": list(cell.concat),
    }
    # Left out for cells with two inputs: they were recorded before there were chained ones, and an arch_id is
    # the hash of these values.
    return value | ({"num_inputs": cell.num_inputs} if cell.is_chained else {})


def _cell_from_dict(value: Any, where: str) -> CellGenotype:
    is_chained = isinstance(value, Mapping) and "num_inputs" in value
    _check_keys(value, ("blocks", "concat", *(["num_inputs"] if is_chained else [])), where)
    for field in ("blocks", "concat"):
        if not isinstance(value[field], list | tuple):
            raise InvalidGenotype(f"{where}: {field} must be a list; got {type(value[field]).__name__}.")
    blocks = []
    for index, block in enumerate(value["blocks"]):
        _check_keys(block, BLOCK_FIELDS, f"{where}, block {index}")
        # The values may still be anything. CellGenotype checks them, and names the block and the field.
        blocks.append(Block(**{name: block[name] for name in BLOCK_FIELDS}))
    try:
        return CellGenotype(tuple(blocks), tuple(value["concat"]), value.get("num_inputs", NUM_INPUTS))
    except InvalidGenotype as error:
        raise InvalidGenotype(f"{where}, {error}") from None
