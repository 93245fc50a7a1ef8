"""A search with misbehaving children: `make poison`.

40 of 200 children raise an error, diverge, run out of GPU or host memory, hang while holding the GIL, or kill
their process; the others are small networks trained on scikit-learn's digits. At the end, all others must
have a score, each of the 40 must have failed for the right reason, and every worker must still train;
otherwise the exit code is 1.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import re
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from benchmarks.chaos.checks import exit_with
from raynas.cells.space import make_space
from raynas.child import Child, ChildResult, Report, ShouldStop, TrainChild
from raynas.data import DataConfig, ImageSplit, load_split
from raynas.engine.cluster import connected
from raynas.engine.config import WorkerConfig
from raynas.engine.pool import ChildPool
from raynas.engine.tuning import tune_run
from raynas.nn import NetworkConfig
from raynas.run.run import Run
from raynas.strategies.strategy import make_strategy
from raynas.training.child import train_child
from raynas.training.config import ChildConfig
from raynas.training.device import Placement
from raynas.training.images import DeviceImages
from raynas.training.trainer import ChildTrainer

REASONS = {
    "raises": r"^ValueError: poison \(in poisoned, .*poison\.py, line \d+\)$",
    "diverges": r"^the loss became nan in epoch 1$",
    "GPU memory": r"^out of GPU memory: use a smaller child\.batch_size",
    "host memory": r"^out of host memory: use a smaller child\.batch_size",
    "hangs": r"^hung after epoch 0: ",
    "kills its process": r"^its worker died (twice|3 times): killed by a signal",
}
"""Each kind of misbehaviour, and a pattern of the reason that a child with it must have failed for."""
SPACE = {"num_blocks": 1}
NETWORK = NetworkConfig(cells_per_stack=1, filters=4, num_reductions=1)
CHILD = ChildConfig(epochs=1)


class NotANumber(torch.nn.Module):
    """A network that has diverged: its logits are NaN."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((10,), torch.nan))

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return self.weight.expand(len(images_NCHW), -1)


def poisoned(kind: str, trainer: ChildTrainer, child: Child) -> ChildResult:
    """Trains a child that misbehaves in one of the ways of REASONS."""
    if kind == "raises":
        raise ValueError("poison")
    if kind == "diverges":
        return train_child(NotANumber(), trainer.images, trainer.config, seed=child.seed)
    if kind == "GPU memory":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    if kind == "host memory":
        raise MemoryError
    if kind == "hangs":
        # Takes twice as long with each letter, and holds the GIL throughout.
        re.match(r"(a+)+$", "a" * 64 + "b")
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def make_trainer(placement: Placement, split: ImageSplit | None, *, poison: dict[int, str]) -> TrainChild:
    """A trainer of small networks; `poison` gives the kind of misbehaviour of some children."""
    assert split is not None
    trainer = ChildTrainer(NETWORK, CHILD, DeviceImages(split), placement)

    def train(child: Child, report: Report, should_stop: ShouldStop) -> ChildResult:
        if child.id in poison:
            return poisoned(poison[child.id], trainer, child)
        return trainer(child, report, should_stop)

    return train


def wait_for_all_workers(
    folder: Path, num_workers: int, child: Child, should_stop: ShouldStop
) -> ChildResult:
    """Trains a child that completes once as many children train at the same time as there are workers."""
    mine = folder / str(child.id)
    everybody = folder / "everybody"
    mine.touch()
    while not everybody.exists() and not should_stop():
        if len(list(folder.iterdir())) >= num_workers:
            everybody.touch()
        time.sleep(0.05)
    mine.unlink()
    if not everybody.exists():
        return ChildResult(status="stopped")
    return ChildResult(status="completed", accuracy=1.0)


def every_worker_trains(pool: ChildPool, folder: Path, num_workers: int) -> bool:
    """Whether every worker trains. Tries several times, as a worker that was just killed may still be
    starting."""
    folder.mkdir()
    for _ in range(5):
        run = new_run(num_workers)
        tune_run(run, pool)
        if all(record.reward == 1.0 for record in run.records.values()):
            return True
    return False


def make_checked_trainer(
    placement: Placement, split: ImageSplit | None, *, poison: dict[int, str], folder: Path, num_workers: int
) -> TrainChild:
    """The trainer of `make_trainer`, and once the folder exists, that of `wait_for_all_workers`."""
    train_poisoned = make_trainer(placement, split, poison=poison)

    def train(child: Child, report: Report, should_stop: ShouldStop) -> ChildResult:
        if folder.exists():
            return wait_for_all_workers(folder, num_workers, child, should_stop)
        return train_poisoned(child, report, should_stop)

    return train


def new_run(num_children: int) -> Run:
    space = make_space("nasnet", **SPACE)
    return Run(space, make_strategy("random", space, seed=0), num_children=num_children)


def wrong(run: Run, poison: dict[int, str]) -> list[str]:
    """The children that did not end as they should."""
    found = []
    for id, record in run.records.items():
        result, kind = record.result, poison.get(id)
        assert result is not None
        if kind is None and (result.status != "completed" or record.reward is None):
            found.append(f"healthy child {id} is {result.status}: {result.reason}")
        if kind is not None and (result.status != "failed" or not re.search(REASONS[kind], result.reason)):
            found.append(f"child {id} ({kind}) is {result.status}: {result.reason!r}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--children", type=int, default=200)
    parser.add_argument("--poisoned", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds; healthy children need a few")
    parser.add_argument("--grace", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    kinds = [list(REASONS)[i % len(REASONS)] for i in range(arguments.poisoned)]
    chosen = random.Random(arguments.seed).sample(range(arguments.children), arguments.poisoned)
    poison = dict(zip(chosen, kinds, strict=True))
    config = WorkerConfig(
        count=arguments.workers, time_limit_seconds=arguments.time_limit, grace_seconds=arguments.grace
    )
    with tempfile.TemporaryDirectory() as name, connected("local", num_cpus=arguments.workers):
        folder = Path(name) / "all_workers"
        factory = functools.partial(
            make_checked_trainer, poison=poison, folder=folder, num_workers=arguments.workers
        )
        split = load_split(DataConfig(train_images=128, validation_images=64), seed=0)
        with ChildPool(factory, data=split, config=config) as pool:
            began = time.perf_counter()
            run = new_run(arguments.children)
            tune_run(run, pool)
            seconds = time.perf_counter() - began
            is_complete = every_worker_trains(pool, folder, arguments.workers)
    found = wrong(run, poison)
    if not is_complete:
        found.append(f"not all of the {arguments.workers} workers train at the end")
    for kind, count in Counter(poison.values()).items():
        example = next(run.records[id].result for id in chosen if poison[id] == kind)
        assert example is not None
        print(f"{count} x {kind}: {example.reason}")
    exit_with(
        f"{arguments.children} children, {arguments.poisoned} of them poisoned, {arguments.workers} workers: "
        f"{seconds:.0f} s",
        found,
    )


if __name__ == "__main__":
    main()
