"""`raynas doctor`: checks one by one what a search needs, and says how to fix what is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch

from raynas.cli.terminal.doctor_boxes import boxes_found
from raynas.config import merged, validated
from raynas.data import DIGITS, ImageSplit
from raynas.detection.data.dataset import holds_boxes
from raynas.engine.cluster import connected, nodes, starts_here
from raynas.engine.config import WorkerConfig
from raynas.engine.pool_plan import plan_pool, with_gpus
from raynas.engine.ray_folder import check_ray_folder
from raynas.environment import versions
from raynas.errors import InvalidConfig, UsageError
from raynas.files import try_writing
from raynas.programs.train.config import TrainDataConfig
from raynas.programs.train.data import find_data, find_index, looked_at
from raynas.tracking.experiment import check_store

REPORTED_PACKAGES = ("torch", "ray", "mlflow", "pyarrow", "pydantic")
MIN_FREE_GB = 2.0
"""Free disk space below which a search may run out of it."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    is_ok: bool
    message: str


def data_config(source: str, settings: Mapping[str, Any]) -> TrainDataConfig:
    """The config of the data to check.

    Args:
        settings: fields of `data` as in `raynas train`, nested.
    Raises:
        InvalidConfig: a setting is unknown, out of bounds, or none of the data's.
    """
    others = sorted(set(settings) - {"data"})
    if others:
        raise InvalidConfig(
            f"{others[0]} is not an option here: raynas doctor takes settings of the data alone, such as "
            "data.label_column=NAME."
        )
    chosen = merged({"source": source, "streamed": "://" in source}, settings.get("data", {}))
    return validated(TrainDataConfig, chosen, where="data")


def examine(*, data: str | TrainDataConfig, address: str | None, runs: Path) -> Iterator[Check]:
    """Runs the checks one after the other; a failed one doesn't stop the rest."""
    config = data_config(data, {}) if isinstance(data, str) else data
    found = versions(REPORTED_PACKAGES)
    yield Check("packages", True, ", ".join(f"{name} {version}" for name, version in found.items()))
    yield _checked("storage", lambda: _storage(runs))
    is_boxed = config.source != DIGITS and holds_boxes(config.source)
    if is_boxed:
        yield _checked("boxes", lambda: boxes_found(config.source))
    elif not config.streamed or config.source == DIGITS:
        yield _checked("data", lambda: _data(config))
    if config.source != DIGITS and not is_boxed:
        yield _checked("streamed data", lambda: _streamed_data(config))
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


def _data(config: TrainDataConfig) -> str:
    split = find_data(config, seed=0)
    assert isinstance(split, ImageSplit)
    size = f"{split.image_size} pixels, {split.num_channels} channels"
    return "\n".join([f"{split.name}, {size}", *split.described()])


def _streamed_data(config: TrainDataConfig) -> str:
    index = looked_at(find_index(config), config)
    lines = index.described() if config.streamed else []
    verdict = f"{index.name} can be read with data.streamed=true"
    if index.validation is None:
        verdict = f"{index.name} can be read, but none for validation, so that data.streamed=true is refused"
    return "\n".join([verdict, *lines])


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
        return "none: children train on CPUs"
    names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
    if not in_ray:
        raise UsageError(
            f"torch sees {', '.join(sorted(names))}, but Ray sees no GPU. Start Ray on this node with "
            "--num-gpus, or check CUDA_VISIBLE_DEVICES."
        )
    return f"{in_ray:g} in the cluster; on this machine {', '.join(sorted(names))}"
