"""Connecting to Ray: a cluster that is there, or one of this process's own."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator

import ray

from raynas.engine.pool_plan import NodeResources
from raynas.errors import DoesNotFit, UsageError

HEAD_NODE = {"node:__internal_head__": 0.0001}
"""Resources of an actor that must outlive the workers: the head is no spot machine."""
NODE_ID = "ray.io/node-id"
"""The label by which Ray places an actor on one node; unlike an address, it never comes back."""
_PATIENCE = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"


def set_patience(seconds: float) -> None:
    """How long Ray Train waits for the resources of its workers at a time, unless the user has set it."""
    os.environ.setdefault(_PATIENCE, f"{seconds:g}")


@contextlib.contextmanager
def connected(address: str | None = None, *, num_cpus: int | None = None) -> Iterator[None]:
    """A Ray connection for the block; one that the caller has already is used and left as it is.

    Args:
        address: of a cluster; None takes RAY_ADDRESS, which `ray job submit` sets, or starts Ray on this
        machine. num_cpus: of a Ray started here; None counts them.
    Raises:
        UsageError: there is no cluster at the address.
    """
    for name in ("ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if ray.is_initialized():
        yield
        return
    _start(address or os.environ.get("RAY_ADDRESS"), num_cpus)
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
    """DoesNotFit if others hold so much of the cluster that this does not fit beside them."""
    free = ray.available_resources()
    for name, asked in (("CPU", cpus), ("GPU", gpus)):
        if asked > free.get(name, 0.0) + 1e-6:
            total = ray.cluster_resources().get(name, 0.0)
            raise DoesNotFit(
                f"Asked for {asked:g} {name}; the cluster has {total:g}, of which {free.get(name, 0.0):g} "
                "are free: another job or actor holds the rest. Wait for it, or use fewer --workers."
            )


def _start(address: str | None, num_cpus: int | None) -> None:
    is_local = address in (None, "local")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address or "local",
            num_cpus=num_cpus if is_local else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if is_local else None,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"There is no Ray cluster at {address!r}: {error}. Start one with 'ray start --head', "
            "give its address, or leave --address out to use this machine."
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            # Ray puts one of its own there.
            signal.signal(signal.SIGTERM, handler)
