"""The environment in which a worker's process starts, so that its C library keeps the memory that it has.

Without these settings glibc gives large blocks back to the kernel, which faults them in again, page by page,
at the next training step. In a thread other than the main one, where Ray runs a worker's code, it does so at
every step.
"""

from __future__ import annotations

import os
from typing import Any

TUNABLES = {
    # One heap for all threads, which grows by 64 MB and is never made smaller.
    "arena_max": 1,
    "top_pad": 64 * 2**20,
    "trim_threshold": 2**34,
    # Blocks below 1 GB are taken from the heap.
    "mmap_threshold": 2**30,
    # The heap asks for transparent huge pages, where the kernel has them.
    "hugetlb": 1,
}
"""glibc's settings; see its manual, section "Memory Allocation Tunables". Other C libraries ignore them."""
VARIABLE = "GLIBC_TUNABLES"


def worker_environment() -> dict[str, Any]:
    """Ray's runtime environment of a training worker. Tunables that the user has set stay as they are."""
    if VARIABLE in os.environ:
        return {}
    tunables = ":".join(f"glibc.malloc.{name}={size}" for name, size in TUNABLES.items())
    return {"env_vars": {VARIABLE: tunables}}
