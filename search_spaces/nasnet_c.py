"""The search space of the run that found NASNet-C.

Zoph, Vasudevan, Shlens, Le (arXiv 1707.07012 v4), appendix B: the NASNet space, in which a sum can have a
layer norm or an instance norm after it. NASNet-C itself was published as a drawing only, never as a table or
as code, and a drawing read by eye is no source: there is no published cell here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from raynas.cells.block import COMBINERS
from raynas.cells.space import register_space
from search_spaces.nasnet import NASNetSpace


@register_space("nasnet_c")
class NASNetCSpace(NASNetSpace):
    """NASNet's blocks with four combiners: a norm can follow a sum."""

    combiners: Annotated[tuple[str, ...], Field(min_length=1)] = COMBINERS
    """How a block combines its two results; the paper's four."""
