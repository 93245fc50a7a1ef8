"""Versions of packages and hardware of the machine, to be written down beside results. Pure Python."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RUN_PACKAGES = ("raynas", "torch", "ray", "numpy")
"""Packages that the result of a run may depend on."""
CPUS = Path("/proc/cpuinfo")
GPUS = Path("/proc/driver/nvidia/gpus")
"""Has a folder per GPU; exists only where NVIDIA's driver is loaded."""
GIB = 2**30


def versions(packages: Iterable[str] = RUN_PACKAGES) -> dict[str, str]:
    """Versions of Python and of those `packages` that are installed, by name."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            # Optional, or imported from a folder on the path without being installed.
            continue
    return found


def machine() -> str:
    """Processors, memory, GPUs and system of this machine on one line, as far as the system tells."""
    parts = [f"{os.cpu_count()} CPUs ({cpu_model()})"]
    memory = memory_gib()
    if memory is not None:
        parts.append(f"{memory:.0f} GiB memory")
    parts += [f"GPU {model}" for model in _gpu_models()]
    return ", ".join([*parts, platform.system()])


def cpu_model() -> str:
    """The processor's name, or else its architecture, such as 'x86_64'."""
    return _field(CPUS, "model name") or platform.machine()


def memory_gib() -> float | None:
    """Memory of this machine in GiB; None if the system doesn't tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    except (ValueError, OSError):
        return None


def _gpu_models() -> list[str]:
    # From the driver's files: the driver process of a search must not initialise CUDA to know its GPUs.
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
