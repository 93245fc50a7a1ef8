"""`raynas doctor`: checks one by one what a search needs, and says how to fix what is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ray
import torch

from raynas.cli.terminal.doctor_boxes import boxes_found
from raynas.data import DIGITS, DataConfig, load_split
from raynas.data.stream import ImageIndex
from raynas.detection.data.dataset import holds_boxes
from raynas.engine.cluster import connected, nodes, starts_here
from raynas.engine.config import WorkerConfig
from raynas.engine.pool_plan import plan_pool, with_gpus
from raynas.engine.ray_folder import check_ray_folder
from raynas.environment import versions
from raynas.errors import UsageError
from raynas.files import try_writing
from raynas.programs.train.config import TrainDataConfig
from raynas.programs.train.data import looked_at
from raynas.tracking.experiment import check_store
from raynas.training.device import autocast_type

REPORTED_PACKAGES = ("torch", "ray", "mlflow", "pyarrow", "pydantic")
MIN_FREE_GB = 2.0
"""Free disk space below which a search may run out of it."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    is_ok: bool
    message: str


def examine(*, data: str, address: str | None, runs: Path) -> Iterator[Check]:
    """Runs the checks one after the other; a failed one doesn't stop the rest."""
    found = versions(REPORTED_PACKAGES)
    yield Check("packages", True, ", ".join(f"{name} {version}" for name, version in found.items()))
    yield _checked("storage", lambda: _storage(runs))
    is_boxed = data != DIGITS and holds_boxes(data)
    if is_boxed:
        yield _checked("boxes", lambda: boxes_found(data))
    elif "://" not in data:
        yield _checked("data", lambda: _data(data))
    if data != DIGITS and not is_boxed:
        yield _checked("streamed data", lambda: _streamed_data(data))
    yield _checked("tracking", lambda: f"MLflow at {check_store(None, runs / 'mlflow.db')}")
    if starts_here(address):
        yield _checked("Ray's files", check_ray_folder)
    try:
        with connected(address):
            yield _checked("cluster", _cluster)
            yield _checked("GPUs", _gpus)
    except UsageError as error:
        yield Check("cluster", False, str(error))


def _checked(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except UsageError as error:
        return Check(name, False, str(error))


def _storage(runs: Path) -> str:
    try:
        existing = try_writing(runs)
    except OSError as error:
        raise UsageError(
            f"{error.filename} is not writable: {error.strerror}. Choose another folder with --out."
        ) from error
    free = shutil.disk_usage(existing).free / 1e9
    if free < MIN_FREE_GB:
        raise UsageError(f"Only {free:.1f} GB are free in {existing}. A search needs {MIN_FREE_GB:g} GB.")
    return f"{runs} is writable, {free:.0f} GB free"


def _data(source: str) -> str:
    split = load_split(DataConfig(source=source), seed=0)
    return (
        f"{split.name}: {len(split.train_labels_N)} training and {len(split.validation_labels_N)} validation "
        f"images, {split.num_classes} classes, {split.image_size} pixels, {split.num_channels} channels"
    )


def _streamed_data(source: str) -> str:
    index = looked_at(ImageIndex.find(source), TrainDataConfig(source=source, streamed=True))
    images = f"{index.name}: {index.num_train_images} training images"
    if index.validation is None:
        return f"{images} can be read, but none are for validation, so that data.streamed=true is refused"
    return (
        f"{images} and {index.validation.num_images} validation images of {index.num_classes} classes can be "
        "read with data.streamed=true"
    )


def _cluster() -> str:
    live = nodes()
    plan = plan_pool(with_gpus(WorkerConfig(), live), live)
    total = ray.cluster_resources()
    return (
        f"Ray {ray.__version__}, {len(live)} node(s), {total.get('CPU', 0):g} CPU, "
        f"{total.get('GPU', 0):g} GPU: room for {plan.num_workers} workers"
    )


def _gpus() -> str:
    in_ray = ray.cluster_resources().get("GPU", 0)
    if not torch.cuda.is_available():
        if in_ray:
            return f"{in_ray:g} in the cluster, none on this machine"
        return "none: children train on CPUs" + (
            " in bfloat16" if autocast_type("auto", "cpu") else " in float32"
        )
    names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
    if not in_ray:
        raise UsageError(
            f"torch sees {', '.join(sorted(names))}, but Ray sees no GPU. Start Ray on this node with "
            "--num-gpus, or check CUDA_VISIBLE_DEVICES."
        )
    return f"{in_ray:g} in the cluster; on this machine {', '.join(sorted(names))}"
