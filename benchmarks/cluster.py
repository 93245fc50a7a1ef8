"""A Ray cluster in processes of this machine, whose nodes can be killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.cluster_utils import Cluster

from raynas.engine.cluster import connected


@contextmanager
def cluster_of(num_nodes: int) -> Iterator[Cluster]:
    """Connects to a new cluster of a head without CPUs and nodes with one CPU each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(num_nodes):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    try:
        with connected(cluster.address):
            yield cluster
    finally:
        cluster.shutdown()
