"""The search space in which NASNet-C was found.

Zoph, Vasudevan, Shlens, Le (arXiv 1707.07012 v4), appendix B: the NASNet space, in which a layer norm or an
instance norm can follow a sum. NASNet-C itself was published only as a drawing, not as a table or code. A
drawing read by eye is no source, so there is no published cell here.
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
    """Combiners to choose from; the paper's four."""
