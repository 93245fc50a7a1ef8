"""Measures how fast this machine trains the networks of an automatic run."""

from __future__ import annotations

import os

import torch

from raynas.cells.genotype import Genotype
from raynas.cells.published import published_cell
from raynas.models.reference import ReferenceSpec
from raynas.nn import NetworkConfig, NetworkSpec
from raynas.programs.auto.plan import LADDER, Images, Paces, size_is_enough
from raynas.programs.train.pace import Trainable, images_per_second
from raynas.training.device import Placement
from raynas.training.final_config import FinalConfig

CELL = "nasnet_a"
"""The cell that stands for those that will be found: five blocks of separable convolutions, as most have."""
NUM_IMAGES = {"cuda": 64, "cpu": 16}
"""Images of a measured update: those of a recipe's batch, or on a CPU fewer, which have the same pace."""


def measure_paces(seconds: float, images: Images) -> Paces:
    """The paces that a plan for so much time needs: sizes are measured until one is too large.

    Raises:
        InvalidConfig: the images are too small for the networks.
    """
    first = cell_spec(published_cell(CELL).genotype, *LADDER[0], images)
    alone = image_rate(first, 1)
    together = image_rate(first, num_cpus())
    # For small networks, or on a busy machine, threads that wait for each other are slower than one.
    threads, rate = (num_cpus(), together) if together > alone else (1, alone)
    reference = ReferenceSpec("resnet18", images.channels, images.classes, images.image_size)
    paces = Paces(
        search=alone * (torch.cuda.device_count() or num_cpus()),
        threads=threads,
        networks=(rate,),
        reference=image_rate(reference, threads),
    )
    for size in LADDER[1:]:
        if size_is_enough(seconds, images, paces):
            break
        rate = image_rate(cell_spec(published_cell(CELL).genotype, *size, images), threads)
        paces = paces.model_copy(update={"networks": (*paces.networks, rate)})
    return paces


def image_rate(network: Trainable, num_threads: int) -> float:
    """Training images per second of one process, on so many CPUs or on a GPU."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    placement = Placement(device=device, num_threads=num_threads)
    return images_per_second(network, FinalConfig(), placement, num_images=NUM_IMAGES[device])


def cell_spec(genotype: Genotype, cells_per_stack: int, filters: int, images: Images) -> NetworkSpec:
    """The network of a cell in a size of LADDER."""
    config = NetworkConfig(
        cells_per_stack=cells_per_stack, filters=filters, num_reductions=num_reductions(images.image_size)
    )
    return NetworkSpec(genotype, config, images.channels, images.classes, images.image_size)


def num_reductions(image_size: int) -> int:
    """Reductions that leave maps of a few pixels; images of 8 pixels have room for one."""
    return 1 if image_size < 16 else 2


def num_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0))
