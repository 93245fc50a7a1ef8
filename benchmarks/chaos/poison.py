"""What becomes of a search with poisoned children: `make poison`.

40 of 200 children raise, diverge, run out of GPU memory or of host memory, hang with Python's lock held, or
kill their process; the others are small networks trained on scikit-learn's digits. Checked at the end, else
exit code 1: all others have a score, each of the 40 has failed for its own reason, and every worker trains.
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

from benchmarks.chaos.checks import conclude
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
from raynas.training import ChildConfig, ChildTrainer, DeviceImages, Placement, train_child

REASONS = {
    "raises": r"^ValueError: poison \(in poisoned, .*poison\.py, line \d+\)$",
    "diverges": r"^the loss became nan in epoch 1$",
    "GPU memory": r"^out of GPU memory: use a smaller child\.batch_size",
    "host memory": r"^out of host memory: use a smaller child\.batch_size",
    "hangs": r"^hung after epoch 0: ",
    "kills its process": r"^its worker died (twice|3 times): killed by a signal",
}
"""Each kind of poison, and what is to be said of a child that has it."""
SPACE = {"num_blocks": 1}
NETWORK = NetworkConfig(cells_per_stack=1, filters=4, num_reductions=1)
CHILD = ChildConfig(epochs=1)


class NotANumber(torch.nn.Module):
    """Logits as of a network that has diverged."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((10,), torch.nan))

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return self.weight.expand(len(images_NCHW), -1)


def poisoned(kind: str, trainer: ChildTrainer, child: Child) -> ChildResult:
    """A child that goes wrong in one of the ways of REASONS."""
    if kind == "raises":
        raise ValueError("poison")
    if kind == "diverges":
        return train_child(NotANumber(), trainer.images, trainer.config, seed=child.seed)
    if kind == "GPU memory":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    if kind == "host memory":
        raise MemoryError
    if kind == "hangs":
        # Doubles its time with each letter, and gives Python's lock to nobody.
        re.match(r"(a+)+$", "a" * 64 + "b")
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def make_trainer(placement: Placement, split: ImageSplit | None, *, poison: dict[int, str]) -> TrainChild:
    assert split is not None
    trainer = ChildTrainer(NETWORK, CHILD, DeviceImages(split), placement)

    def train(child: Child, report: Report, should_stop: ShouldStop) -> ChildResult:
        if child.id in poison:
            return poisoned(poison[child.id], trainer, child)
        return trainer(child, report, should_stop)

    return train


def answer_the_roll(folder: Path, num_workers: int, child: Child, should_stop: ShouldStop) -> ChildResult:
    """A child that is done when as many are being trained at the same time as there are workers."""
    mine, everybody = folder / str(child.id), folder / "everybody"
    mine.touch()
    while not everybody.exists() and not should_stop():
        if len(list(folder.iterdir())) >= num_workers:
            everybody.touch()
        time.sleep(0.05)
    mine.unlink()
    if not everybody.exists():
        return ChildResult(status="stopped")
    return ChildResult(status="completed", accuracy=1.0)


def all_answer(pool: ChildPool, folder: Path, num_workers: int) -> bool:
    """Whether every worker trains; one that was killed a moment ago may still be on its way."""
    folder.mkdir()
    for _ in range(5):
        roll = new_run(num_workers)
        tune_run(roll, pool)
        if all(record.reward == 1.0 for record in roll.records.values()):
            return True
    return False


def with_roll_call(
    placement: Placement, split: ImageSplit | None, *, poison: dict[int, str], folder: Path, num_workers: int
) -> TrainChild:
    """Trains as `make_trainer` says, until the folder is there: then the roll is called."""
    train_poisoned = make_trainer(placement, split, poison=poison)

    def train(child: Child, report: Report, should_stop: ShouldStop) -> ChildResult:
        if folder.exists():
            return answer_the_roll(folder, num_workers, child, should_stop)
        return train_poisoned(child, report, should_stop)

    return train


def new_run(num_children: int) -> Run:
    space = make_space("nasnet", **SPACE)
    return Run(space, make_strategy("random", space, seed=0), num_children=num_children)


def wrong(run: Run, poison: dict[int, str]) -> list[str]:
    """What is not as it should be."""
    found = []
    for id, record in run.records.items():
        result, kind = record.result, poison.get(id)
        assert result is not None
        if kind is None and (result.status != "completed" or record.reward is None):
            found.append(f"child {id} is healthy, and {result.status}: {result.reason}")
        if kind is not None and (result.status != "failed" or not re.search(REASONS[kind], result.reason)):
            found.append(f"child {id} {kind}, and is {result.status}: {result.reason!r}")
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
        folder = Path(name) / "roll"
        factory = functools.partial(
            with_roll_call, poison=poison, folder=folder, num_workers=arguments.workers
        )
        split = load_split(DataConfig(train_images=128, validation_images=64), seed=0)
        with ChildPool(factory, data=split, config=config) as pool:
            began = time.perf_counter()
            run = new_run(arguments.children)
            tune_run(run, pool)
            seconds = time.perf_counter() - began
            is_complete = all_answer(pool, folder, arguments.workers)
    found = wrong(run, poison)
    if not is_complete:
        found.append(f"not all of the {arguments.workers} workers answered at the end")
    for kind, count in Counter(poison.values()).items():
        example = next(run.records[id].result for id in chosen if poison[id] == kind)
        assert example is not None
        print(f"{count} x {kind}: {example.reason}")
    conclude(
        f"{arguments.children} children, {arguments.poisoned} of them poisoned, {arguments.workers} workers: "
        f"{seconds:.0f} s",
        found,
    )


if __name__ == "__main__":
    main()
