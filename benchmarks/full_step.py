"""One full training step of a published network at its full size: `python -m benchmarks.full_step NAME ...`.

Forward, loss with the auxiliary head, backward, RMSProp and the moving average, as its ImageNet recipe sets
them, but for the number of images; each network in a process of its own, whose peak memory is printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import torch

from raynas.models.networks import NETWORKS
from raynas.programs.train.recipes import train_config
from raynas.training import Placement
from raynas.training.final import FinalTraining
from raynas.training.sources import Batch

RECIPES = {"nasnet_a_mobile": "imagenet_mobile", "nasnet_a_large": "imagenet_large"}
NUM_CLASSES = 1000


@dataclass(frozen=True)
class OneBatch:
    """A TrainingSource of one batch of noise, for training and for validation."""

    batch: Batch
    num_classes: int = NUM_CLASSES

    def num_batches(self, batch_size: int, *, num_ranks: int) -> int:
        return 1

    def train_batches(self, epoch: int, batch_size: int, **_: int) -> Iterator[Batch]:
        yield self.batch

    def validation_batches(self, batch_size: int, **_: int) -> Iterator[Batch]:
        yield self.batch


def step(name: str, num_images: int) -> dict[str, Any]:
    """Time and peak memory of one step and one validation, and what it changed."""
    published = NETWORKS[name]
    size = published.image_size
    spec = published.spec
    config = train_config(RECIPES[name], {"cell": published.cell, "genotype": spec.genotype.to_dict()})
    training_config = config.training.model_copy(update={"batch_size": num_images, "epochs": 1})
    torch.manual_seed(0)
    network = replace(spec, config=config.network, num_classes=NUM_CLASSES).build()
    images_NCHW = torch.randn(num_images, 3, size, size).to(memory_format=torch.channels_last)
    batch = Batch(images_NCHW, torch.arange(num_images), num_images)
    training = FinalTraining(network, OneBatch(batch), training_config, Placement())
    before = [parameter.detach().clone() for parameter in network.parameters()]
    began = time.perf_counter()
    training.run()
    changed = [not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True)]
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "size": size,
        "seconds": time.perf_counter() - began,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "changed": sum(changed) / len(changed),
        "is_finite": all(bool(torch.isfinite(parameter).all()) for parameter in network.parameters()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(RECIPES)}; all if left out")
    parser.add_argument("--images", type=int, default=2)
    arguments = parser.parse_args()
    print("| network | pixels | parameters | images | seconds | peak memory, GB | tensors changed | finite |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.names or RECIPES:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            done = process.submit(step, name, arguments.images).result()
        sizes = f"{name} | {done['size']} | {done['parameters']:,} | {arguments.images}"
        cost = f"{done['seconds']:.1f} | {done['gigabytes']:.1f}"
        print(f"| {sizes} | {cost} | {done['changed']:.0%} | {done['is_finite']} |", flush=True)


if __name__ == "__main__":
    main()
