"""Pictures of an architecture: plain text, SVG and PNG.

`layout` and `picture` compute what is where, as plain values; `svg` and `png` only render those values.
Cells look as in figure 4 of Zoph et al. 2018 (arXiv 1707.07012): inputs at the bottom, the output on top.
"""

from __future__ import annotations

from raynas.cells.draw.svg import genotype_svg
from raynas.cells.draw.text import genotype_text
from raynas.cells.genotype import Genotype

__all__ = ["genotype_png", "genotype_svg", "genotype_text"]


def genotype_png(genotype: Genotype, *, title: str = "") -> bytes:
    """Both cells as the bytes of a PNG file, two pixels per unit of the SVG's viewBox."""
    # Imported here, because matplotlib takes longer to import than all the rest of raynas.cells.draw.
    from raynas.cells.draw.png import draw_png

    return draw_png(genotype, title=title)
