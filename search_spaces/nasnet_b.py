"""The search space in which NASNet-B was found.

Zoph, Vasudevan, Shlens, Le (arXiv 1707.07012 v4), appendix B: nothing is concatenated; every block's output
is passed on, used or not, so a cell takes four hidden states and has four blocks; a norm can follow a sum. In
raynas the inputs are the four block outputs of the cell before. (The figure's caption could also mean that
each output goes to a different one of the next four layers.) NASNet-B itself was published only as a drawing,
not as a table or code. A drawing read by eye is no source, so there is no published cell here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raynas.cells.block import COMBINERS, Block
from raynas.cells.space import register_space
from search_spaces.nasnet import NASNetSpace


@register_space("nasnet_b")
class NASNetBSpace(NASNetSpace):
    """NASNet's blocks on four inputs, which are the four block outputs of the cell before."""

    num_inputs: ClassVar[int] = 4

    num_blocks: Literal[4] = 4
    """Number of blocks per cell; as many as the next cell has inputs."""
    combiners: Annotated[tuple[str, ...], Field(min_length=1)] = COMBINERS
    """Combiners to choose from; the paper's four."""

    def outputs(self, blocks: Sequence[Block]) -> tuple[int, ...]:
        return tuple(range(self.num_inputs, self.num_inputs + len(blocks)))
