"""Draws random architectures of every search space, and counts different ones that share an arch_id.

    python -m benchmarks.arch_id --samples 1000000

Two architectures differ if their canonical forms do; a form is remembered by its 256-bit SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from raynas.cells.genotype import Genotype
from raynas.cells.space import SPACES, make_space


@dataclass(frozen=True)
class Count:
    """What was found among the samples."""

    samples: int
    distinct: int
    collisions: int
    seconds: float


def samples(name: str, num_samples: int, rng: random.Random) -> Iterator[Genotype]:
    """Draws architectures of a search space, uniformly over its actions."""
    space = make_space(name)
    widths = [len(decision.choices) for decision in space.decisions]
    for _ in range(num_samples):
        yield space.decode([rng.randrange(width) for width in widths])


def count(num_samples: int, seed: int) -> dict[str, Count]:
    """Counts of each search space and of all of them together; each gets the same share of the samples."""
    rng = random.Random(seed)
    form_of_id: dict[bytes, bytes] = {}
    counts: dict[str, Count] = {}
    names = SPACES.names()
    began = time.perf_counter()
    collisions = 0
    distinct_in_all: set[bytes] = set()
    for place, name in enumerate(names):
        space_began = time.perf_counter()
        collisions_before = collisions
        share = num_samples // len(names) + (place < num_samples % len(names))
        distinct: set[bytes] = set()
        for genotype in samples(name, share, rng):
            form = canonical_hash(genotype)
            if form not in distinct:
                distinct.add(form)
                collisions += form_of_id.setdefault(bytes.fromhex(genotype.arch_id), form) != form
        distinct_in_all |= distinct
        counts[name] = Count(
            share, len(distinct), collisions - collisions_before, time.perf_counter() - space_began
        )
    counts["all"] = Count(num_samples, len(distinct_in_all), collisions, time.perf_counter() - began)
    return counts


def canonical_hash(genotype: Genotype) -> bytes:
    """SHA-256 of the canonical form, which stands for the form itself to save memory."""
    return hashlib.sha256(json.dumps(genotype.canonical().to_dict(), sort_keys=True).encode()).digest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, Python {platform.python_version()}, {platform.machine()}\n")
    print("| space | samples | distinct canonical forms | collisions | seconds |\n|---|---|---|---|---|")
    for name, row in count(arguments.samples, arguments.seed).items():
        print(f"| {name} | {row.samples} | {row.distinct} | {row.collisions} | {row.seconds:.1f} |")


if __name__ == "__main__":
    main()
