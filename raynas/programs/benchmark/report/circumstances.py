"""When and where a report's numbers were made: date, versions and hardware."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from pathlib import Path

from raynas.environment import cpu_model, memory_gib, versions
from raynas.programs.benchmark.benchmark import num_cpus

TABLE_PACKAGES = ("raynas", "torch", "numpy", "scipy", "scikit-learn", "pyarrow")
"""Packages on which a benchmark's numbers may depend."""


def environment_facts() -> dict[str, str]:
    """Date, versions and machine, by what a report calls them."""
    found = versions(TABLE_PACKAGES)
    memory = memory_gib()
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "versions": ", ".join(
            f"{name.replace('python', 'Python')} {number}" for name, number in found.items()
        ),
        "operating system": platform.platform(),
        "processor": f"{cpu_model()}, {num_cpus()} CPUs for this process; no GPU is used",
        "memory": "unknown" if memory is None else f"{memory:.1f} GiB",
        "load of the machine": f"{os.getloadavg()[1]:.1f} in the five minutes before this was written",
    }


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
