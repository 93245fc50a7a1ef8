"""Packages and machine that a run is computed with, to be written down beside its results. Pure Python."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("raynas", "torch", "ray", "numpy")
"""Packages on which a result may depend."""
CPUS = Path("/proc/cpuinfo")
GPUS = Path("/proc/driver/nvidia/gpus")
"""A folder per GPU; only where NVIDIA's driver is loaded."""
GIB = 2**30


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Version of Python and of each of the packages that is installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            # Found on the path without being installed.
            continue
    return found


def machine() -> str:
    """Processors, memory and GPUs of this machine, as far as Linux tells, in a line."""
    parts = [f"{os.cpu_count()} CPUs ({_cpu_model()})"]
    with contextlib.suppress(ValueError, OSError):
        parts.append(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / GIB:.0f} GiB memory")
    parts += [f"GPU {model}" for model in _gpu_models()]
    return ", ".join([*parts, platform.system()])


def _cpu_model() -> str:
    return _field(CPUS, "model name") or platform.machine()


def _gpu_models() -> list[str]:
    found = [_field(path, "Model") for path in sorted(GPUS.glob("*/information"))]
    return [model for model in found if model]


def _field(path: Path, name: str) -> str:
    """The first value of `name: value` in a file of the kernel; empty if there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    values = [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name]
    return values[0] if values else ""
