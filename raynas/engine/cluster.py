"""Connects this process to Ray (a running cluster, or a Ray of its own) and says what the cluster has."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import ray

from raynas.engine.pool_plan import NodeResources
from raynas.engine.ray_messages import messages_kept
from raynas.engine.ray_start import cluster_error, local_error
from raynas.errors import DoesNotFit

HEAD_NODE = {"node:__internal_head__": 0.0001}
"""Resources of an actor that must outlive the workers: the head node is not a spot machine."""
NODE_ID = "ray.io/node-id"
"""Label by which Ray places an actor on one node. Unlike an address, an id is never used for a second node.
"""
_START_TIMEOUT_VARIABLE = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"
_POLL_VARIABLE = "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"


def set_start_timeout(seconds: float) -> None:
    """Sets how long Ray Train waits at a time for the resources of its workers, unless the user has set
    it.
    """
    os.environ.setdefault(_START_TIMEOUT_VARIABLE, f"{seconds:g}")


def set_poll_interval(seconds: float) -> None:
    """Sets how often Ray Train's controller asks its workers for checkpoints, unless the user has set it."""
    os.environ.setdefault(_POLL_VARIABLE, f"{seconds:g}")


@contextlib.contextmanager
def connected(
    address: str | None = None, *, num_cpus: int | None = None, folder: Path | None = None
) -> Iterator[None]:
    """Connects this process to Ray for the block. A connection that exists already is used and left open.

    Args:
        address: address of a cluster. None takes RAY_ADDRESS, which `ray job submit` sets; without it, Ray is
            started on this machine.
        num_cpus: CPUs of a Ray that is started here; None means all of this machine.
        folder: a run's folder, for what Ray has to say about its cluster; None leaves it out.
    Raises:
        UsageError: Ray can't be started here, or there is no cluster at the address.
    """
    # Their messages are about their own trials and runs, of which a user of raynas knows nothing.
    for name in ("ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if ray.is_initialized():
        yield
        return
    with messages_kept(folder):
        _start(address, num_cpus)
        try:
            yield
        finally:
            ray.shutdown()


def nodes() -> list[NodeResources]:
    """The live nodes of the connected cluster."""
    return [
        NodeResources(node["NodeID"], node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
        for node in ray.nodes()
        if node["Alive"]
    ]


def check_free(cpus: float, gpus: float) -> None:
    """Raises DoesNotFit if other jobs or actors leave fewer CPUs or GPUs free than these."""
    free = ray.available_resources()
    for name, asked in (("CPU", cpus), ("GPU", gpus)):
        # Ray counts in ten-thousandths of a CPU, so that sums of fractions come out slightly off.
        if asked > free.get(name, 0.0) + 1e-6:
            total = ray.cluster_resources().get(name, 0.0)
            raise DoesNotFit(
                f"Asked for {asked:g} {name}; the cluster has {total:g}, of which {free.get(name, 0.0):g} "
                "are free: another job or actor holds the rest. Wait for it, or set workers.count to less."
            )


def starts_here(address: str | None) -> bool:
    """Whether `connected` would start a Ray on this machine for that address."""
    return (address or os.environ.get("RAY_ADDRESS") or "local") == "local"


def _start(address: str | None, num_cpus: int | None) -> None:
    # RAY_ADDRESS is read here instead of by Ray, so that an error can say where the address came from.
    is_local = starts_here(address)
    chosen = address or os.environ.get("RAY_ADDRESS") or "local"
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=chosen,
            # Ray refuses a number of CPUs for a cluster that runs already.
            num_cpus=num_cpus if is_local else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            # No dashboard on a user's machine: its port takes jobs, which are code that is executed.
            include_dashboard=False if is_local else None,
        )
    # Ray raises OSError, RuntimeError, ValueError and plain Exception here.
    except Exception as error:
        # Ends what was started before the error.
        with contextlib.suppress(Exception):
            ray.shutdown()
        if is_local:
            raise local_error(error) from error
        raise cluster_error(error, chosen, is_from_environment=not address) from error
    finally:
        # ray.init replaces the handler for SIGTERM by its own, which would end the driver before it has
        # written down what is running. Only the main thread may put the old one back.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
