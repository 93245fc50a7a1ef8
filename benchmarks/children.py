"""Images per second of training children on a CPU: raynas's worker against a plain PyTorch loop.

    python -m benchmarks.children [--cases nasnet_a] [--rounds 3] [--out FILE]

Each measurement is a process of its own, because a process keeps its C library's settings and its memory.
raynas trains as in a worker: `train_child` in a thread, started with the worker's environment. The reference
is the loop of twenty lines below in a process's main thread, on the same cells by torch's own operations,
each of which computes its own ReLU: what raynas 0.1.0 did. It is measured with channels last and with NCHW.
Measurements are made in turn; medians and ratios over all rounds are printed. Images are random numbers, and
their augmentation is part of raynas's time and not of the reference's.
"""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from raynas.cells.genotype import Genotype
from raynas.cells.published import published_cell
from raynas.cells.space import make_space
from raynas.data import ImageSplit
from raynas.engine.worker_memory import worker_environment
from raynas.nn import Cell, Network, NetworkConfig, NetworkSpec, cpu_training
from raynas.nn.cell import States
from raynas.strategies.strategy import make_strategy
from raynas.training.child import train_child
from raynas.training.config import ChildConfig
from raynas.training.device import Placement, reproducible
from raynas.training.images import DeviceImages

BATCH_SIZE = 64
WARM_STEPS = 2
KINDS = ("raynas", "channels last", "NCHW")


@dataclass(frozen=True)
class Case:
    """A network and how it is trained."""

    cell: str
    """'nasnet_a', or 'random:SEED' for a cell that random search proposes."""
    cells_per_stack: int
    filters: int
    image_size: int
    threads: int

    @property
    def name(self) -> str:
        """The case in words."""
        size = "digits" if self.image_size == 8 else f"{self.image_size} px"
        return f"{self.cell} N={self.cells_per_stack} F={self.filters}, {size}, {self.threads} thread(s)"

    @property
    def channels(self) -> int:
        """Channels of the images; those of digits are grey."""
        return 1 if self.image_size == 8 else 3

    @property
    def steps(self) -> int:
        """Steps that are timed."""
        return 24 if self.image_size == 8 else 6

    def genotype(self) -> Genotype:
        """The cells."""
        if not self.cell.startswith("random:"):
            return published_cell(self.cell).genotype
        space = make_space("nasnet")
        strategy = make_strategy("random", space, seed=int(self.cell.removeprefix("random:")))
        return space.decode(strategy.propose().actions)

    def network(self) -> Network:
        """The network with its initial weights."""
        torch.manual_seed(0)
        config = NetworkConfig(
            cells_per_stack=self.cells_per_stack, filters=self.filters, auxiliary_head=False
        )
        return NetworkSpec(self.genotype(), config, self.channels, 10, self.image_size).build()


def all_cases() -> Iterator[Case]:
    """The published cell in two sizes, on two kinds of images, and twenty random cells."""
    for threads in (1, 2):
        for image_size in (8, 32):
            yield Case("nasnet_a", 1, 8, image_size, threads)
            yield Case("nasnet_a", 2, 16, image_size, threads)
    for seed in range(20):
        yield Case(f"random:{seed}", 1, 8, 32, 1)


def raynas_rate(case: Case) -> float:
    """Images per second of `train_child`, in a thread as in a worker."""
    number = BATCH_SIZE * (WARM_STEPS + case.steps)
    rng = np.random.default_rng(0)
    shape = (number + BATCH_SIZE, case.image_size, case.image_size, case.channels)
    images_NHWC = rng.integers(0, 256, shape, dtype=np.uint8)
    labels_N = np.arange(len(images_NHWC)) % 10
    split = ImageSplit(
        name="random",
        train_images_NHWC=images_NHWC[:number],
        train_labels_N=labels_N[:number],
        validation_images_NHWC=images_NHWC[number:],
        validation_labels_N=labels_N[number:],
        num_classes=10,
        class_names=None,
        mean_C=(0.5,) * case.channels,
        std_C=(0.25,) * case.channels,
    )
    times: list[float] = []

    def note_time() -> bool:
        # Called before each step.
        times.append(time.perf_counter())
        return len(times) > WARM_STEPS + case.steps

    def train() -> None:
        placement = Placement(num_threads=case.threads)
        config = ChildConfig(epochs=2, batch_size=BATCH_SIZE)
        with reproducible(0, placement):
            train_child(
                case.network(),
                DeviceImages(split),
                config,
                seed=0,
                placement=placement,
                should_stop=note_time,
            )

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    # The call after the last step comes after the validation of the epoch, so the last interval is left out.
    intervals = np.diff(times)[WARM_STEPS : WARM_STEPS + case.steps - 1]
    return BATCH_SIZE / float(np.mean(intervals))


def plain_rate(case: Case, memory_format: torch.memory_format) -> float:
    """Images per second of a loop as one would write it."""
    _use_plain_operations()
    torch.set_num_threads(case.threads)
    network = case.network().to(memory_format=memory_format).train()  # type: ignore[call-overload]
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    images_NCHW = torch.randn(BATCH_SIZE, case.channels, case.image_size, case.image_size)
    images_NCHW, labels_N = images_NCHW.to(memory_format=memory_format), torch.arange(BATCH_SIZE) % 10
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4, foreach=True
    )
    for step in range(WARM_STEPS + case.steps):
        if step == WARM_STEPS:
            began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(network(images_NCHW), labels_N)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0, foreach=True)
        optimizer.step()
        assert torch.isfinite(loss)
    return BATCH_SIZE * case.steps / (time.perf_counter() - began)


def _use_plain_operations() -> None:
    """Computes every layer by torch's own operation, and a ReLU for each operation that begins with one."""
    cpu_training.applies = lambda x: False
    Cell.rectified_inputs = frozenset()  # type: ignore[assignment, method-assign]
    States.through = lambda self, module, state: module(self[state])  # type: ignore[method-assign]


def measured(case: Case, kind: str) -> float:
    """Images per second, in a new process."""
    environment = dict(os.environ)
    if kind == "raynas":
        environment |= worker_environment().get("env_vars", {})
    command = [sys.executable, "-m", "benchmarks.children", "--one", json.dumps([asdict(case), kind])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case.name}, {kind}:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def one(case: Case, kind: str) -> float:
    """Images per second, in this process."""
    if kind == "raynas":
        return raynas_rate(case)
    return plain_rate(case, torch.channels_last if kind == "channels last" else torch.contiguous_format)


def compare(case: Case, rounds: int, kinds: tuple[str, ...]) -> dict[str, Any]:
    """The medians of each kind, measured in turn."""
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            rates[kind].append(measured(case, kind))
    return {"case": case.name, **{kind: statistics.median(values) for kind, values in rates.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default="", help="only cases whose name contains this")
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds of the published cell; random ones have one"
    )
    parser.add_argument("--out", type=Path, help="a JSON file for the table")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        fields, kind = json.loads(arguments.one)
        print(one(Case(**fields), kind))
        return
    rows = []
    for case in all_cases():
        if arguments.cases not in case.name:
            continue
        is_random = case.cell.startswith("random:")
        kinds = KINDS[:2] if is_random else KINDS
        row = compare(case, 1 if is_random else arguments.rounds, kinds)
        rows.append(row)
        ratios = ", ".join(f"{row['raynas'] / row[kind]:.2f} x {kind}" for kind in kinds[1:])
        rates = ", ".join(f"{kind} {row[kind]:.0f}" for kind in kinds)
        print(f"{row['case']}: images/s {rates}; {ratios}", flush=True)
    for kind in KINDS[1:]:
        ratios_of = [row["raynas"] / row[kind] for row in rows if kind in row]
        if ratios_of:
            mean, least = statistics.geometric_mean(ratios_of), min(ratios_of)
            print(f"against {kind}: geometric mean {mean:.2f}, least {least:.2f} (n = {len(ratios_of)})")
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
