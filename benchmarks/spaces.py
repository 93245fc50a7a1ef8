"""Builds random architectures of every search space, and checks the arithmetic of their cost.

    python -m benchmarks.spaces --samples 1000

Networks are built on torch's meta device, which takes no memory, with two cells per stack and 24 filters, for
32x32 images. Parameters are compared for each network, multiply-adds (with torch's own counter) for every
20th.
"""

from __future__ import annotations

import argparse
import platform
import random
import statistics
import time
from dataclasses import dataclass, field

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.arch_id import samples
from raynas.cells.genotype import Genotype
from raynas.cells.space import SPACES, make_space
from raynas.nn import Complexity, Network, NetworkConfig, complexity

IMAGE = {"in_channels": 3, "num_classes": 10, "image_size": 32}
RUN_EVERY = 20


@dataclass
class Row:
    """Results of one search space; processor times in milliseconds."""

    failures: list[str] = field(default_factory=list)
    complexity_ms: list[float] = field(default_factory=list)
    build_ms: list[float] = field(default_factory=list)


def check_space(name: str, num_samples: int, seed: int) -> Row:
    row = Row()
    rng = random.Random(seed)
    own = make_space(name).network
    config = NetworkConfig.model_validate({**own, "cells_per_stack": 2, "filters": 24})
    for index, genotype in enumerate(samples(name, num_samples, rng)):
        try:
            _check(genotype, config, row, runs=index % RUN_EVERY == 0)
        except Exception as error:
            row.failures.append(f"{genotype.to_json()}: {error!r}")
    return row


def _check(genotype: Genotype, config: NetworkConfig, row: Row, *, runs: bool) -> None:
    began = time.process_time()
    cost = complexity(genotype, config, **IMAGE)
    counted = time.process_time()
    with torch.device("meta"):
        network = Network(genotype, config, **IMAGE)
    row.build_ms.append(1000 * (time.process_time() - counted))
    row.complexity_ms.append(1000 * (counted - began))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert cost.parameters == parameters, f"{cost.parameters} parameters counted, {parameters} built"
    if runs:
        _check_mult_adds(network.eval(), cost)


def _check_mult_adds(network: Network, cost: Complexity) -> None:
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, 32, 32, device="meta"))
    flops = counter.get_total_flops()
    assert 2 * cost.mult_adds == flops, f"{cost.mult_adds} multiply-adds counted, {flops / 2} done"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=1000, help="per space")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"seed {arguments.seed}, torch {torch.__version__}, {platform.machine()}\n")
    print("| space | samples | failures | complexity, median ms | maximum ms | build, median ms |")
    print("|---|---|---|---|---|---|")
    for name in SPACES.names():
        row = check_space(name, arguments.samples, arguments.seed)
        times = f"{statistics.median(row.complexity_ms):.2f} | {max(row.complexity_ms):.1f}"
        print(
            f"| {name} | {arguments.samples} | {len(row.failures)} | {times} "
            f"| {statistics.median(row.build_ms):.0f} |",
            flush=True,
        )
        for failure in row.failures[:3]:
            print(f"  {failure}")


if __name__ == "__main__":
    main()
