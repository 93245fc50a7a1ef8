"""One full training step of a published network at its full size: `python -m benchmarks.full_step NAME ...`.

Forward, loss with the auxiliary head, backward, RMSProp and the moving average are those of the network's
ImageNet recipe; only the number of images differs. Each network runs in its own process, whose peak memory is
printed.
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
from raynas.training.batches import TrainingBatch
from raynas.training.classification import classifier_training
from raynas.training.device import Placement

RECIPES = {"nasnet_a_mobile": "imagenet_mobile", "nasnet_a_large": "imagenet_large"}
NUM_CLASSES = 1000


@dataclass
class OneBatch:
    """TrainingBatches of one batch of noise, for training and for validation."""

    batch: TrainingBatch
    num_classes: int = NUM_CLASSES

    def num_batches(self, batch_size: int, *, num_ranks: int) -> int:
        return 1

    def train_batches(self, epoch: int, batch_size: int, **_: int) -> Iterator[TrainingBatch]:
        yield self.batch

    def validation_batches(self, batch_size: int, **_: int) -> Iterator[TrainingBatch]:
        yield self.batch


def step(name: str, num_images: int) -> dict[str, Any]:
    """Runs one step and one validation; measures time, peak memory and which parameters changed."""
    published = NETWORKS[name]
    size = published.image_size
    spec = published.spec
    config = train_config(RECIPES[name], {"cell": published.cell, "genotype": spec.genotype.to_dict()})
    training_config = config.training.model_copy(update={"batch_size": num_images, "epochs": 1})
    torch.manual_seed(0)
    network = replace(spec, config=config.network, num_classes=NUM_CLASSES).build()
    images_NCHW = torch.randn(num_images, 3, size, size).to(memory_format=torch.channels_last)
    batch = TrainingBatch(images_NCHW, torch.arange(num_images), num_images)
    training = classifier_training(network, OneBatch(batch), training_config, Placement())
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
    parser.add_argument("names", nargs="*", help=f"networks, of {', '.join(RECIPES)}; default: all")
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
