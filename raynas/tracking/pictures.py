"""A child's cells as MLflow's image charts take them: the files that `MlflowClient.log_image` would write.

Their names are fixed here by the child instead of at random, so that a second try overwrites the first. The
small picture, for which MLflow reduces an image to 256 pixels, is the same file: in so few, no operation of a
cell can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from PIL.Image import Dither, Quantize

from raynas.cells.genotype import CellGenotype, Genotype

NUM_COLORS = 64
"""Colors of a picture: as many as its boxes, lines and their smoothed edges need."""
KEYS = ("normal cell", "reduction cell")
"""Names of a child's pictures, by which MLflow's image charts put those of several children side by side."""
IMAGES_TAG = "mlflow.loggedImages"
"""MLflow's own tag: its UI makes an image chart for the runs that have it."""


def cell_pictures(genotype: Genotype, *, time_ms: int) -> dict[str, bytes]:
    """Both cells, or the one if they are the same; content by the path of its artifact."""
    # Imported late: opening a tracker and checking the store need no drawing.
    from raynas.cells.draw.thumbnail import cell_image

    files: dict[str, bytes] = {}
    for number, (name, cell) in enumerate(_cells(genotype)):
        image = cell_image(cell, is_reduction=name == KEYS[1])
        # The last part is a UUID in MLflow's own names, and tells apart what else is equal.
        path = f"images/{name}+step+0+timestamp+{time_ms}+{genotype.arch_id}-{number}"
        png = BytesIO()
        reduced = image.quantize(NUM_COLORS, Quantize.FASTOCTREE, dither=Dither.NONE)
        reduced.save(png, "PNG", compress_level=1)
        files |= {f"{path}.png": png.getvalue(), f"{path}+compressed.png": png.getvalue()}
    return files


def _cells(genotype: Genotype) -> Iterator[tuple[str, CellGenotype]]:
    yield KEYS[0], genotype.normal
    if genotype.reduction != genotype.normal:
        yield KEYS[1], genotype.reduction
