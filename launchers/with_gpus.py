"""Waits until the cluster has a number of GPUs, then runs a command.

The autoscaler may start nodes for it, which are released when the command ends.

    python launchers/with_gpus.py 8 -- python -m raynas search --data /mnt/data --out /mnt/runs/one

Runs inside a cluster. raynas plans its workers for the nodes that exist when it starts, and refuses a cluster
that scales from zero. --timeout limits the wait; the exit code is the command's, or 1.
"""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gpus", type=int)
    parser.add_argument("command", nargs="+")
    parser.add_argument(
        "--timeout", type=float, default=3600, help="seconds; spot nodes may be long in coming"
    )
    options = parser.parse_args(arguments)
    import ray
    from ray.autoscaler.sdk import request_resources

    ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    try:
        # The request stands until it is withdrawn, so lost spot nodes are replaced while the command runs.
        request_resources(bundles=[{"GPU": 1}] * options.gpus)
        if not has_gpus(lambda: ray.cluster_resources().get("GPU", 0), options.gpus, options.timeout):
            print(f"No {options.gpus} GPUs after {options.timeout:g} s: see 'ray status'.", file=sys.stderr)
            return 1
        return run(options.command)
    finally:
        request_resources(bundles=[])
        ray.shutdown()


def has_gpus(count: Callable[[], float], wanted: int, timeout: float) -> bool:
    """Waits for the GPUs and prints a line whenever their number changes.

    Returns:
        Whether they came within `timeout` seconds.
    """
    end = time.monotonic() + timeout
    shown = None
    while (available := count()) < wanted:
        # The output is a job's log, so it gets a line for each change, and not one every five seconds.
        if available != shown:
            print(f"waiting for gpus  there={available:g} wanted={wanted}", flush=True)
            shown = available
        if time.monotonic() > end:
            return False
        time.sleep(5)
    return True


def run(command: Sequence[str]) -> int:
    """Runs the command and returns its exit code.

    On Ctrl-C, which reaches both processes, only the command acts; this program waits for it to end.
    """
    process = subprocess.Popen(command)
    # After Popen, because a process that is started inherits that a signal is ignored.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, previous)


if __name__ == "__main__":
    sys.exit(main())
