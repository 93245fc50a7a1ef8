"""What each process of a test with several ranks runs; importable, because spawned processes import it."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.child import ChildResult, EpochReport
from raynas.nn import Network
from raynas.training.child import train_child
from raynas.training.device import Placement, reproducible
from tests.nn.small_networks import TINY
from tests.training.final_runs import train_with_frozen_norms
from tests.training.tiny_children import NETWORK, child_config, digits

_PREVIOUS_ALONE = CellGenotype((Block(1, "conv_3x3", 1, "identity"),), (2,))
GENOTYPES = {"tiny": TINY, "previous_alone": Genotype(_PREVIOUS_ALONE, _PREVIOUS_ALONE)}
STOP_AFTER_STEPS = 4


class FileCheckpoints:
    """Checkpoints of one child, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> bytes | None:
        return self.path.read_bytes() if self.path.exists() else None

    def save(self, epoch: int, state: bytes) -> None:
        self.path.write_bytes(state)

    def is_due(self, epoch: int) -> bool:
        return True


def train_ranks(num_ranks: int, folder: Path) -> list[dict[str, dict[str, Any]]]:
    """Trains children and a network on this many processes; returns what each process ended with."""
    spawn(_rank, (num_ranks, str(folder)), nprocs=num_ranks)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(num_ranks)]


def train_rank(
    rank: int,
    num_ranks: int,
    genotype: str,
    *,
    stops: bool = False,
    checkpoints: FileCheckpoints | None = None,
) -> dict[str, Any]:
    images, placement = digits(), Placement(rank=rank, num_ranks=num_ranks)
    reports: list[EpochReport] = []
    answers = itertools.chain([False] * STOP_AFTER_STEPS, itertools.repeat(stops and rank == 0))
    with reproducible(0, placement):
        network = Network(GENOTYPES[genotype], NETWORK, in_channels=1, num_classes=10, image_size=8)
        result = train_child(
            network,
            images,
            child_config(),
            seed=0,
            placement=placement,
            report_epoch=reports.append,
            should_stop=lambda: next(answers),
            checkpoints=checkpoints,
        )
    return {
        "result": result,
        "num_reports": len(reports),
        "parameters": {name: value.detach().clone() for name, value in network.named_parameters()},
        "buffers": {name: value.clone() for name, value in network.named_buffers()},
    }


def curve_of(result: ChildResult) -> list[tuple[float, float]]:
    return [(report.accuracy, report.train_loss) for report in result.curve]


def _rank(rank: int, num_ranks: int, folder: str) -> None:
    # A rank alone on this machine: no need to look for the way to others.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=num_ranks)
    try:
        torch.set_num_threads(1)
        # All in one group of processes, because starting them takes most of the time.
        kept = FileCheckpoints(Path(folder) / "kept")
        ends = {
            "tiny": train_rank(rank, num_ranks, "tiny", checkpoints=kept),
            "resumed": train_rank(rank, num_ranks, "tiny", checkpoints=kept),
            "stopped": train_rank(rank, num_ranks, "tiny", stops=True),
            "previous_alone": train_rank(rank, num_ranks, "previous_alone"),
            "final": train_with_frozen_norms(Placement(rank=rank, num_ranks=num_ranks), epochs=1),
        }
        torch.save(ends, f"{folder}/{rank}.pt")
    finally:
        distributed.destroy_process_group()
