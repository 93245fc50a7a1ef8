"""The smallest part of a cell: one block, its operations and combiners. Pure Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from raynas.errors import InvalidGenotype, did_you_mean

NUM_INPUTS = 2
"""Inputs of a cell that is not chained: h_i and h_(i-1)."""
# NASNet-B's four inputs are the most of any published cell, and draw/palette.py has a colour for each of
# four.
MAX_INPUTS = 4
MAX_BLOCKS = 12
COMBINERS = ("add", "concat", "add_layer_norm", "add_instance_norm")
"""Ways to combine two results. The last two are a sum followed by a layer norm or an instance norm, as in the
searches that found NASNet-B and C (Zoph et al. 2018, appendix B).
"""
OPERATIONS = (
    # The 13 of Zoph et al. 2018, section 3, in the paper's order.
    "identity",
    "conv_1x3_3x1",
    "conv_1x7_7x1",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "conv_1x1",
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    # Found only in AmoebaNet's code.
    "bottleneck_3x3",
    "bottleneck_1x7_7x1",
    "max_pool_2x2",
    # DARTS.
    "dil_conv_5x5",
    # NAS-Bench-201: no edge, and the shortcut of its fixed reduction.
    "none",
    "avg_pool_2x2_conv_1x1",
)
"""Every operation; nn/ops.py has the layers of each."""


@dataclass(frozen=True, slots=True)
class Block:
    """One pairwise combination: combiner(op_a(state input_a), op_b(state input_b))."""

    input_a: int
    op_a: str
    input_b: int
    op_b: str
    combiner: str = "add"


BLOCK_FIELDS = tuple(field.name for field in fields(Block))


def check_block(index: int, block: Block, num_inputs: int) -> None:
    """InvalidGenotype if block number `index` of a cell takes a state that doesn't exist yet, or if its
    operation or combiner is unknown.
    """
    # Inputs come first among the states, then the blocks' outputs in order. A block can take any state before
    # its own.
    own_state = num_inputs + index
    for field, state in (("input_a", block.input_a), ("input_b", block.input_b)):
        # `type`, not isinstance: JSON's `true` is a bool, which Python counts as the integer 1.
        if type(state) is not int or not 0 <= state < own_state:
            why = " A later state would close a cycle." if type(state) is int and state >= own_state else ""
            raise InvalidGenotype(
                f"block {index}, {field}: {state!r} is not a state that block {index} "
                f"can take (0..{own_state - 1}).{why}"
            )
    for field, op in (("op_a", block.op_a), ("op_b", block.op_b)):
        _check_word(index, field, op, OPERATIONS)
    _check_word(index, "combiner", block.combiner, COMBINERS)


def _check_word(index: int, field: str, word: object, known: Sequence[str]) -> None:
    # The type is checked first because the value may come from a file and may be anything.
    if not isinstance(word, str) or word not in known:
        raise InvalidGenotype(
            f"block {index}, {field}: {word!r} is unknown."
            f"{did_you_mean(str(word), known)} Known: {', '.join(known)}."
        )
