"""Where and when a report's numbers were made: versions, hardware, date."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from raynas.programs.benchmark.benchmark import num_cpus

PACKAGES = ("raynas", "torch", "numpy", "scipy", "pyarrow")
_CHUNK_BYTES = 1 << 20


def circumstances() -> dict[str, str]:
    """Facts by name."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "versions": ", ".join([f"Python {platform.python_version()}", *_versions()]),
        "operating system": platform.platform(),
        "processor": f"{_processor()}, {num_cpus()} CPUs for this process; no GPU is used",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "load of the machine": f"{os.getloadavg()[1]:.1f} in the five minutes before this was written",
    }


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _versions() -> Iterator[str]:
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
