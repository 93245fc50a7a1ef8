"""The search space of NAS-Bench-201, all 15,625 cells of which have been trained and tabulated.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search" (arXiv
2001.00326), section 2.1: four nodes and an operation on each of the six edges; a node is the sum of its
incoming edges. The reduction cell is a fixed residual block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, ClassVar

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.cells.space import Actions, Decision, SearchSpace, register_space
from raynas.errors import InvalidGenotype, did_you_mean
from search_spaces.nasnet import index_of

EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""(node, earlier node that it takes) of each edge, in the order of an architecture string."""
OPERATIONS_BY_NAME = {
    "none": "none",
    "skip_connect": "identity",
    "nor_conv_1x1": "conv_1x1",
    "nor_conv_3x3": "conv_3x3",
    "avg_pool_3x3": "avg_pool_3x3",
}
"""raynas's operations, by the benchmark's names for them."""
NASBENCH201_OPERATIONS = tuple(OPERATIONS_BY_NAME.values())
# Two 3x3 convolutions, and a shortcut from the input that pools and projects. 'none' fills the half that the
# first block doesn't need.
RESIDUAL_BLOCK = CellGenotype(
    blocks=(Block(0, "conv_3x3", 0, "none"), Block(1, "conv_3x3", 0, "avg_pool_2x2_conv_1x1")),
    concat=(2,),
    num_inputs=1,
)
"""The reduction cell of every architecture."""
EXAMPLE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"


@register_space("nasbench201")
class NASBench201Space(SearchSpace):
    """One operation for each edge of a graph of four nodes; the space has no options."""

    network: ClassVar[Mapping[str, Any]] = {"head": "norm_relu"}

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        return tuple(Decision(f"{node}<-{source}", "op", NASBENCH201_OPERATIONS) for node, source in EDGES)

    def decode(self, actions: Sequence[int]) -> Genotype:
        self.check(actions)
        return _genotype(tuple(NASBENCH201_OPERATIONS[action] for action in actions))

    def encode(self, genotype: Genotype) -> Actions:
        ops = _edge_ops(genotype)
        return tuple(index_of(decision, op) for decision, op in zip(self.decisions, ops, strict=True))

    def to_text(self, genotype: Genotype) -> str:
        """The benchmark's string. Isomorphic cells have rows of their own, because each was trained."""
        return to_arch_string(genotype)

    def from_text(self, text: str) -> Genotype:
        return from_arch_string(text)


_SPACE = NASBench201Space()


def to_arch_string(genotype: Genotype) -> str:
    """The benchmark's string for `genotype`, such as EXAMPLE; InvalidGenotype if it isn't in the space."""
    actions = _SPACE.encode(genotype)
    names = list(OPERATIONS_BY_NAME)
    parts = [f"{names[action]}~{source}" for (_, source), action in zip(EDGES, actions, strict=True)]
    # Node 1 has one incoming edge, node 2 two and node 3 three, which gives these slices of EDGES.
    return "+".join(f"|{'|'.join(parts[start:stop])}|" for start, stop in ((0, 1), (1, 3), (3, 6)))


def from_arch_string(text: str) -> Genotype:
    """The architecture with the benchmark's string `text`; InvalidGenotype says what is wrong with it."""
    nodes = text.strip().split("+")
    if len(nodes) != 3:
        raise _malformed(text, f"{len(nodes)} nodes joined by '+', not 3")
    ops = []
    for node, part in enumerate(nodes, start=1):
        edges = part.strip("|").split("|")
        # Put together again and compared, because strip would also accept bars that are missing or doubled.
        if part != f"|{'|'.join(edges)}|" or len(edges) != node:
            raise _malformed(text, f"node {node} is {part!r}, not {node} edges between bars")
        ops += [_edge_op(text, edge, f"{node}<-{source}", source) for source, edge in enumerate(edges)]
    return _genotype(tuple(ops))


def _edge_op(text: str, edge: str, where: str, source: int) -> str:
    name, _, end = edge.rpartition("~")
    if end != str(source):
        raise _malformed(text, f"edge {where} is {edge!r}, not an operation and '~{source}'")
    if name not in OPERATIONS_BY_NAME:
        known = list(OPERATIONS_BY_NAME)
        raise InvalidGenotype(
            f"edge {where}: the operation {name!r} is unknown.{did_you_mean(name, known)} "
            f"Known: {', '.join(known)}."
        )
    return OPERATIONS_BY_NAME[name]


def _malformed(text: str, problem: str) -> InvalidGenotype:
    return InvalidGenotype(f"{text!r} is no architecture of NAS-Bench-201: {problem}. An example: {EXAMPLE}")


# Reading a table makes a genotype of every string in it, and equal ones are then compared: so they are
# shared.
@lru_cache(maxsize=5**6)
def _genotype(ops: tuple[str, ...]) -> Genotype:
    op = dict(zip(EDGES, ops, strict=True))
    blocks = (
        # States 0 to 2 are nodes 0 to 2. State 3 is what node 3 gets from nodes 0 and 1, and state 4 is the
        # whole of node 3.
        Block(0, op[1, 0], 0, "none"),
        Block(0, op[2, 0], 1, op[2, 1]),
        # Node 3 has three incoming edges, so it takes two blocks.
        Block(0, op[3, 0], 1, op[3, 1]),
        Block(2, op[3, 2], 3, "identity"),
    )
    return Genotype(CellGenotype(blocks, (4,), num_inputs=1), RESIDUAL_BLOCK)


def _edge_ops(genotype: Genotype) -> list[str]:
    """The operations on the six edges; InvalidGenotype unless the graph is in this space."""
    if genotype.reduction != RESIDUAL_BLOCK:
        raise InvalidGenotype("reduction cell: in this space it is the residual block.")
    blocks = genotype.normal.blocks
    if len(blocks) != 4:
        raise InvalidGenotype(f"normal cell: {len(blocks)} blocks; this space has 4.")
    first, second, third, last = blocks
    ops = [first.op_a, second.op_a, second.op_b, third.op_a, third.op_b, last.op_a]
    # Built again from its operations and compared: that checks every input, filler and combiner at once.
    if _genotype(tuple(ops)) != genotype:
        raise InvalidGenotype(
            "normal cell: in this space block 0 takes (0, 0 with none), blocks 1 and 2 take (0, 1), block 3 "
            "takes (2, 3 with identity), each is a sum, and the one output is state 4."
        )
    return ops
