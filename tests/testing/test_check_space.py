"""The contract check of search spaces finds each promise that a space breaks."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.cells.space import Decision, SearchSpace
from raynas.testing import check_space


class Chain(SearchSpace):
    """Three operations, one after another."""

    length: int = 3

    @property
    def decisions(self):
        ops = ("sep_conv_3x3", "max_pool_3x3")
        return tuple(Decision(f"op_{index}", "op", ops) for index in range(self.length))

    def decode(self, actions):
        self.check(actions)
        ops = [decision.choices[action] for decision, action in zip(self.decisions, actions, strict=True)]
        blocks = tuple(Block(0 if i == 0 else i + 1, op, 1, "identity") for i, op in enumerate(ops))
        cell = CellGenotype(blocks, concat=(self.length + 1,))
        return Genotype(normal=cell, reduction=cell)

    def encode(self, genotype):
        ops = [block.op_a for block in genotype.normal.blocks]
        return tuple(d.choices.index(op) for d, op in zip(self.decisions, ops, strict=True))


class NoDecisions(Chain):
    length: int = 0


class EqualNames(Chain):
    @property
    def decisions(self):
        return tuple(Decision("op", "op", decision.choices) for decision in super().decisions)


class ChoiceTwice(Chain):
    @property
    def decisions(self):
        return tuple(Decision(d.name, "op", (*d.choices, "sep_conv_3x3")) for d in super().decisions)


class EncodesBackwards(Chain):
    def encode(self, genotype):
        return super().encode(genotype)[::-1]


class TakesAnything(Chain):
    def decode(self, actions):
        zeros = (0,) * self.length
        return super().decode(tuple(action % 2 for action in (*actions, *zeros)[: self.length]))


class OtherText(Chain):
    def from_text(self, text):
        return self.decode((0,) * self.length)


class Thawed(Chain):
    model_config: ClassVar[Any] = {"frozen": False}


class ForgetsAnOption(Chain):
    def model_dump(self, **options):
        return {}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (NoDecisions(), "at least one decision"),
        (EqualNames(), "decisions share a name"),
        (ChoiceTwice(), "lists a choice twice"),
        (EncodesBackwards(), r"encode\(decode\(.*\)\) is"),
        (TakesAnything(), "decode must refuse"),
        (OtherText(), "is another architecture"),
        (Thawed(), "Thawed must stay frozen"),
        (ForgetsAnOption(length=2), "differs when made from its options"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_promise_is_found(space, message):
    with pytest.raises(AssertionError, match=message):
        check_space(space, num_samples=8, num_trained=1)


def test_a_network_that_cannot_be_built_is_found():
    class NoFilters(Chain):
        network: ClassVar[Any] = {"stem": "unknown"}

    with pytest.raises((AssertionError, ValueError, AttributeError)):
        check_space(NoFilters(), num_samples=1, num_trained=1)


def test_a_sound_space_passes():
    check_space(Chain(length=2), num_samples=8, num_trained=2)
