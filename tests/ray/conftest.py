"""One Ray and one pool for every test here; training is a formula."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raynas.child import Child, ChildResult, EpochReport, Report, ShouldStop, TrainChild
from raynas.data import ImageSplit
from raynas.engine.cluster import connected
from raynas.engine.config import WorkerConfig
from raynas.engine.pool import ChildPool
from raynas.training.device import Placement

# Ray gives its workers way to everything else; here the tests in the other process would starve them.
os.environ.setdefault("RAY_worker_niceness", "0")
NUM_WORKERS = 2
BLOCK_BYTES = 2**28
# Seeds of children that misbehave; a test chooses them with the fixture `behave`.
RAISES, NAN, DIES_ONCE, RUNS_FOR_EVER, DIES_FIRST, WAITS_FOR_IT = range(1000, 1006)


def accuracy_of(arch_id: str) -> float:
    return int(arch_id[:4], 16) / 0xFFFF


def memory_kept() -> int:
    """Bytes that stay in this process after a block of 256 MB was used and freed: by default none."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    block = bytearray(BLOCK_BYTES)
    block[:: os.sysconf("SC_PAGE_SIZE")] = b"1" * (BLOCK_BYTES // os.sysconf("SC_PAGE_SIZE"))
    del block
    return resident() - before


def attempts_at(kind: int, marker: Path) -> int:
    """Number of times that a worker has begun a child of this kind, which leaves a file each time."""
    return len(list(marker.parent.glob(f"attempt-{kind}-*")))


def stand_in(marker: Path, child: Child, report: Report, should_stop: ShouldStop) -> ChildResult:
    """A child without training: two epochs, and an accuracy that its arch_id decides."""
    accuracy = accuracy_of(child.arch_id)
    kind = child.seed
    if kind == RAISES:
        raise RuntimeError("boom")
    if kind == NAN:
        return ChildResult(status="failed", reason="the loss became nan in epoch 1")
    if kind == DIES_ONCE and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if kind in (DIES_FIRST, WAITS_FOR_IT):
        (marker.parent / f"attempt-{kind}-{time.time_ns()}").touch()
    if kind == DIES_FIRST and attempts_at(kind, marker) == 1:
        while attempts_at(WAITS_FOR_IT, marker) == 0:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == WAITS_FOR_IT:
        while attempts_at(DIES_FIRST, marker) < 2:
            time.sleep(0.05)
    curve = (
        EpochReport(epoch=1, accuracy=accuracy / 2, train_loss=1.0, seconds=0.1),
        EpochReport(epoch=2, accuracy=accuracy, train_loss=0.5, seconds=0.2),
    )
    report(curve[0])
    if kind == RUNS_FOR_EVER:
        while not should_stop():
            pass
        return ChildResult(status="stopped", accuracy=accuracy / 2, curve=curve[:1])
    report(curve[1])
    return ChildResult(status="completed", accuracy=accuracy, curve=curve, seconds=0.2)


@pytest.fixture(scope="session")
def marker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that says that a child has died once; other traces of children are beside it."""
    return tmp_path_factory.mktemp("markers") / "died"


@pytest.fixture(scope="session")
def pool(marker: Path) -> Iterator[ChildPool]:
    # Defined here, so that Ray sends it by value: workers can't import a test's module.
    train_stand_in = stand_in
    kept, measure = marker.parent / "memory-kept", memory_kept

    def factory(placement: Placement, split: ImageSplit | None) -> TrainChild:
        assert split is None
        kept.write_text(str(measure()))
        return lambda child, report, should_stop: train_stand_in(marker, child, report, should_stop)

    with (
        connected("local", num_cpus=NUM_WORKERS),
        ChildPool(factory, config=WorkerConfig(count=2, cpus=0.98)) as pool,
    ):
        pool.wait_ready()
        yield pool
