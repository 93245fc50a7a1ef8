"""The search space of the run that found NASNet-B.

Zoph, Vasudevan, Shlens, Le (arXiv 1707.07012 v4), appendix B: nothing is concatenated; every block output is
passed on, used or not, so a cell takes four hidden states and has four blocks; after a sum a norm can follow.
Our reading: the inputs are the four block outputs of the cell before. (The figure's caption can also be read
as each output going to another one of the next four layers.) NASNet-B itself was published as a drawing only,
never as a table or as code, and a drawing read by eye is no source: there is no published cell here.
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
    """NASNet's blocks over four inputs, which are the four block outputs of the cell before."""

    num_inputs: ClassVar[int] = 4

    num_blocks: Literal[4] = 4
    """As many as the next cell has inputs."""
    combiners: Annotated[tuple[str, ...], Field(min_length=1)] = COMBINERS
    """How a block combines its two results; the paper's four."""

    def outputs(self, blocks: Sequence[Block]) -> tuple[int, ...]:
        return tuple(range(self.num_inputs, self.num_inputs + len(blocks)))
