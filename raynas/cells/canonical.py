"""The canonical form of a cell: equal graphs, in whatever order their blocks are written, get the same one.

A "writing" of a cell is an order of its blocks, and with it the numbers of their states; the canonical form
is the smallest writing. "Twins" are blocks that take the same states in the same way. Pure Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raynas.cells.block import NUM_INPUTS, Block

COMMUTATIVE_COMBINERS = frozenset({"add", "add_layer_norm", "add_instance_norm"})
"""Combiners whose two operands can be swapped."""

Key = tuple[str, int, str, int, str]
"""The sort key of a block: its combiner, then input and operation of both halves, sorted if the combiner
allows. States have their new numbers.
"""


@dataclass(frozen=True, slots=True)
class _Cell:
    """The fields of a CellGenotype, in any writing."""

    blocks: tuple[Block, ...]
    concat: tuple[int, ...]
    num_inputs: int

    @property
    def is_chained(self) -> bool:
        return self.num_inputs != NUM_INPUTS

    @property
    def num_states(self) -> int:
        return self.num_inputs + len(self.blocks)


@dataclass(frozen=True, slots=True)
class _Twins:
    """Blocks that take the same states in the same way; they are alike until another block uses one of them.

    Until then it stays open which of `states` gets which of `labels`. There are fewer labels than states
    while some of the blocks are not yet placed.
    """

    key: Key
    labels: tuple[int, ...]
    states: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Writing:
    """The beginning of a writing: the keys of the blocks placed so far, and the new numbers of states."""

    keys: tuple[Key, ...]
    labels: dict[int, int]
    twins: tuple[_Twins, ...] = ()

    def with_labels(self, labels: Mapping[int, int]) -> _Writing:
        """This writing, with new numbers for some twins."""
        if not labels:
            return self
        # A numbered twin is no longer like the others, so it leaves its group together with its number.
        twins = tuple(
            _Twins(
                group.key,
                tuple(label for label in group.labels if label not in labels.values()),
                tuple(state for state in group.states if state not in labels),
            )
            for group in self.twins
        )
        return _Writing(self.keys, {**self.labels, **labels}, tuple(group for group in twins if group.states))

    def with_block(self, key: Key, states: tuple[int, ...], label: int) -> _Writing:
        """This writing and one more block: one of `states`, which are twins if there are several."""
        keys = (*self.keys, key)
        # An equal key means equal inputs and operations, so the block is one more twin of a group that has
        # begun.
        known = next((group for group in self.twins if group.key == key), None)
        if known is not None:
            grown = _Twins(key, (*known.labels, label), known.states)
            return _Writing(keys, self.labels, (*(g for g in self.twins if g is not known), grown))
        if len(states) == 1:
            return _Writing(keys, {**self.labels, states[0]: label}, self.twins)
        return _Writing(keys, self.labels, (*self.twins, _Twins(key, (label,), states)))

    def numbers(self, state_a: int, state_b: int) -> list[dict[int, int]]:
        """The smallest new numbers that two states can get.

        There are two ways if both are twins of each other, and none if a state is not placed yet.
        """
        ways: list[dict[int, int]] = [{}]
        # A block may take one state twice; dict.fromkeys keeps the order and drops the repetition.
        for state in dict.fromkeys((state_a, state_b)):
            if state in self.labels:
                continue
            group = next((group for group in self.twins if state in group.states), None)
            if group is None or not group.labels:
                return []
            if state_a != state_b and {state_a, state_b} <= set(group.states):
                # -1 stands for a number that is still missing: only one of the two twins is placed.
                first, second = (*group.labels, -1)[:2]
                ways = [{state_a: first, state_b: second}, {state_a: second, state_b: first}]
                return ways if second >= 0 else []
            ways[0][state] = group.labels[0]
        return ways


def smallest_writing(
    blocks: tuple[Block, ...], concat: tuple[int, ...], num_inputs: int
) -> tuple[tuple[Key, ...], tuple[int, ...]]:
    """Keys and concat of the writing whose sequence of blocks, and then whose concat, is the smallest.

    The search is greedy: the next block is always a smallest one among those whose inputs are placed. Which
    of several twins comes first stays open until a block uses one of them. Several writings are pursued only
    where blocks tie that use different twins.
    """
    cell = _Cell(blocks, concat, num_inputs)
    alike: dict[tuple[Any, ...], list[int]] = {}
    for index, block in enumerate(cell.blocks):
        alike.setdefault(_definition(block), []).append(cell.num_inputs + index)
    # Only twins leave a choice of numbers. Most cells have none, and then the work can be saved.
    apart = _apart(cell) if len(alike) < len(cell.blocks) else {}
    writings = [_Writing((), {state: state for state in range(cell.num_inputs)})]
    for label in range(cell.num_inputs, cell.num_states):
        grown = [option for before in writings for option in _next(cell, before, alike, apart)]
        # Sequences of keys are compared from the front, so a writing whose next key is not the smallest has
        # lost, whatever would follow. All that are left have the same keys; they differ only in which twin
        # got which number.
        smallest = min(key for key, _, _ in grown)
        writings = [
            writing.with_block(key, states, label) for key, states, writing in grown if key == smallest
        ]
    # All writings have the same keys here. What may still differ is the numbers of the outputs.
    return writings[0].keys, min(_outputs(cell, writing) for writing in writings)


def _next(
    cell: _Cell,
    before: _Writing,
    alike: Mapping[tuple[Any, ...], list[int]],
    apart: Mapping[int, tuple[Any, ...]],
) -> Iterator[tuple[Key, tuple[int, ...], _Writing]]:
    """The blocks that can come next: key, states of the twins, and the writing with their inputs numbered."""
    tried: set[tuple[Any, ...]] = set()
    placed = {state for group in before.twins for state in group.states} | before.labels.keys()
    # First the twins of blocks that are placed already: they come with the key that they all share.
    for group in before.twins:
        if len(group.labels) < len(group.states):
            yield group.key, group.states, before
    # Then the blocks of which no twin is placed. Twins enter `placed` together, so the first one speaks for
    # all.
    for states in alike.values():
        if states[0] not in placed:
            block = cell.blocks[states[0] - cell.num_inputs]
            for labels in before.numbers(block.input_a, block.input_b):
                writing = before.with_labels(labels)
                key = _key(block, writing.labels)
                # Using one of two twins that never differ gives the same cell: it is enough to try one.
                if len(labels) == 1 and (used := next(iter(labels))) in apart:
                    if (key, apart[used]) in tried:
                        continue
                    tried.add((key, apart[used]))
                yield key, tuple(states), writing


def _apart(cell: _Cell) -> dict[int, tuple[Any, ...]]:
    """What becomes of each state that meets no other block's output on its way through the cell.

    Twins with equal values here never differ, so that it is enough to try one of them.
    """
    made: dict[int, tuple[Any, ...]] = {}
    inputs = {state: state for state in range(cell.num_inputs)}
    # Backwards, because what becomes of a state depends on what becomes of the later blocks that take it.
    for state in range(cell.num_states - 1, cell.num_inputs - 1, -1):
        users = [
            index + cell.num_inputs
            for index, block in enumerate(cell.blocks)
            if state in (block.input_a, block.input_b)
        ]
        # -1 in place of the state's own number, which would tell twins apart that are used in the same way.
        labels = {**inputs, state: -1}
        blocks = [cell.blocks[user - cell.num_inputs] for user in users]
        meets_others = any(not {block.input_a, block.input_b} <= labels.keys() for block in blocks)
        # A chained cell's outputs differ, because the next cell uses each of them for something else.
        is_output = cell.is_chained and state in cell.concat
        if not meets_others and not is_output and all(user in made for user in users):
            parts = sorted(
                (_key(block, labels), made[user]) for block, user in zip(blocks, users, strict=True)
            )
            made[state] = (state in cell.concat, *parts)
    return made


def _outputs(cell: _Cell, writing: _Writing) -> tuple[int, ...]:
    """The new numbers of the states in concat; twins that no block uses are all in it, in any order."""
    left: dict[int, Iterator[int]] = {}
    for group in writing.twins:
        # The states of a group share one iterator, so that each of them takes another of the group's numbers.
        left |= dict.fromkeys(group.states, iter(group.labels))
    outputs = [
        writing.labels[state] if state in writing.labels else next(left[state]) for state in cell.concat
    ]
    # In a chained cell the order says which input of the next cell an output becomes. Elsewhere it is only
    # the order of channels, which is not part of the graph.
    return tuple(outputs if cell.is_chained else sorted(outputs))


def _definition(block: Block) -> tuple[Any, ...]:
    """A value that is equal for twins: the key without renumbering."""
    return _key(block, {block.input_a: block.input_a, block.input_b: block.input_b})


def _key(block: Block, labels: Mapping[int, int]) -> Key:
    # By their new numbers: with the old ones the order of the halves would depend on how the cell was
    # written.
    half_a, half_b = (labels[block.input_a], block.op_a), (labels[block.input_b], block.op_b)
    if block.combiner in COMMUTATIVE_COMBINERS and half_b < half_a:
        half_a, half_b = half_b, half_a
    return (block.combiner, *half_a, *half_b)
