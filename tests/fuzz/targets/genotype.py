"""Genotypes as JSON, and what is derived from them: ids, drawings, sizes, actions."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from raynas.cells.block import COMBINERS, OPERATIONS
from raynas.cells.draw import genotype_svg, genotype_text
from raynas.cells.genotype import Genotype
from raynas.cells.published import published_cells
from raynas.cells.space import make_space
from raynas.errors import InvalidGenotype
from raynas.nn import NetworkConfig, complexity
from raynas.run.lookup import find_genotype
from tests.fuzz.mutate import json_bytes, mutated_bytes
from tests.fuzz.seeds import bombs
from tests.fuzz.trial import Attempt

CONFIG = NetworkConfig(cells_per_stack=1, filters=4, num_reductions=1)


def start(folder: Path, bomb: Path) -> Attempt:
    seeds = [cell.genotype.to_dict() for cell in published_cells().values()]
    file, space = folder / "cell.json", make_space("nasnet")

    def attempt(rng: random.Random) -> None:
        value = rng.choice(seeds) if rng.random() < 0.7 else _drawn(rng)
        data = json_bytes(rng, value)
        file.write_bytes(data if rng.random() < 0.95 else mutated_bytes(rng, data, bombs(bomb)))
        genotype = find_genotype(str(file))
        _use(genotype)
        try:
            assert space.decode(space.encode(genotype)) == genotype
        except InvalidGenotype:
            # A valid genotype of another space.
            return

    return attempt


def _use(genotype: Genotype) -> None:
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert genotype.canonical().arch_id == genotype.arch_id
    genotype_text(genotype)
    genotype_svg(genotype, title=genotype.arch_id)
    complexity(genotype, CONFIG, in_channels=1, num_classes=2, image_size=8)


def _drawn(rng: random.Random) -> dict[str, Any]:
    """Cells of many blocks and few operations, so that many blocks are equal."""
    cells = {}
    for name in ("normal", "reduction"):
        blocks: list[dict[str, Any]] = []
        operations = rng.sample(OPERATIONS, 2)
        num_twins = rng.randint(0, 10)
        for index in range(rng.randint(1, 12)):
            first = 0 if index < num_twins else 2
            inputs = [rng.randint(min(first, index + 1), 1 if index < num_twins else index + 1) for _ in "ab"]
            if index < num_twins:
                inputs = [0, 1]
            blocks.append(
                {
                    "input_a": inputs[0], "op_a": operations[0], "input_b": inputs[1],
                    "op_b": operations[0] if rng.random() < 0.8 else operations[1],
                    "combiner": "add" if rng.random() < 0.9 else rng.choice(COMBINERS),
                }
            )  # fmt: skip
        used = {block[key] for block in blocks for key in ("input_a", "input_b")}
        loose = [state for state in range(2 + len(blocks)) if state not in used]
        cells[name] = {"blocks": blocks, "concat": loose}
    return cells
