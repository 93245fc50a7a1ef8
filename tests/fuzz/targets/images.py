"""Image files in class folders, in every format that raynas reads."""

from __future__ import annotations

import random
from pathlib import Path

from raynas.data import DataConfig, load_split
from tests.fuzz.mutate import mutated_bytes
from tests.fuzz.seeds import bombs, picture
from tests.fuzz.targets.parquet import check
from tests.fuzz.trial import Attempt

KINDS = (
    ("PNG", "RGB"), ("PNG", "P"), ("PNG", "LA"), ("PNG", "I;16"), ("JPEG", "RGB"), ("JPEG", "L"),
    ("WEBP", "RGB"), ("BMP", "RGB"), ("GIF", "P"), ("PPM", "RGB"), ("TIFF", "RGB"), ("TIFF", "L"),
)  # fmt: skip
"""Format and mode."""


def start(folder: Path, bomb: Path) -> Attempt:
    seeds = {kind: picture(kind[0], mode=kind[1]) for kind in KINDS}
    data, names = folder / "data", ("a.png", "b.png", "c.png")
    for class_name in ("cat", "dog"):
        (data / class_name).mkdir(parents=True)
        for name in names:
            (data / class_name / name).write_bytes(picture(value=len(class_name)))
    file = data / "cat" / names[0]

    def attempt(rng: random.Random) -> None:
        # The format is recognised by the first bytes, not by the name, so a.png may hold any format.
        file.write_bytes(mutated_bytes(rng, seeds[rng.choice(KINDS)], [*seeds.values(), *bombs(bomb)]))
        size = rng.choice((None, 8))
        split = load_split(DataConfig(source=str(data), validation_images=2, image_size=size), seed=0)
        check(split)

    return attempt
