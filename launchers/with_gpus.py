"""Runs a command once the cluster has so many GPUs; the autoscaler may start nodes for it and end them after.

    python launchers/with_gpus.py 8 -- python -m raynas search --data /mnt/data --out /mnt/runs/one

For the inside of a cluster. raynas plans its workers from the nodes that are there when it starts: a cluster
that starts with none would refuse. --timeout bounds the wait; the exit code is the command's, or 1.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
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

    ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
    try:
        # The request stays until it is withdrawn, so lost spot nodes are replaced while the command runs.
        request_resources(bundles=[{"GPU": 1}] * options.gpus)
        if not has_gpus(lambda: ray.cluster_resources().get("GPU", 0), options.gpus, options.timeout):
            print(f"No {options.gpus} GPUs after {options.timeout:g} s: see 'ray status'.", file=sys.stderr)
            return 1
        return run(options.command)
    finally:
        request_resources(bundles=[])
        ray.shutdown()


def has_gpus(count: Callable[[], float], wanted: int, timeout: float) -> bool:
    """Waits, with a line whenever the number changes; False: not within `timeout` seconds."""
    end = time.monotonic() + timeout
    shown = None
    while (there := count()) < wanted:
        if there != shown:
            print(f"waiting for gpus  there={there:g} wanted={wanted}", flush=True)
            shown = there
        if time.monotonic() > end:
            return False
        time.sleep(5)
    return True


def run(command: Sequence[str]) -> int:
    """As long as the command runs, Ctrl-C is its own: it gets the signal too, and this waits for it."""
    process = subprocess.Popen(command)
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, previous)


if __name__ == "__main__":
    sys.exit(main())
