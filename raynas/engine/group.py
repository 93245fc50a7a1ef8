"""One worker group: a run of Ray Train from its start to its end, and what it reports to the queue.

Ray Train treats workers that train a child each as replicas: one that dies is replaced alone, and the others
are left undisturbed. Workers that share a child restart together. This is why a group can be of node size: a
group costs four more processes and 0.6 GB on the driver's node, too much for a group per worker.

This file relies on two things that Ray doesn't promise to keep (read in ray 2.60.0): that a Backend may
declare `has_replica_groups`, and ControllerCallback. tests/ray/test_ray_search.py fails when they change.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from dataclasses import dataclass
from typing import Any

import ray
import ray.util
from ray.exceptions import RayActorError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from raynas.engine.cluster import NODE_ID
from raynas.engine.group_backend import ReportController, ReportLostWorkers, SeparateConfig
from raynas.engine.pool_plan import WorkerGroup
from raynas.engine.worker_memory import worker_environment
from raynas.engine.worker_settings import WorkerSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GroupStart:
    """All that is needed to start a group."""

    group: WorkerGroup
    cpus: float
    settings: WorkerSettings
    folder: str
    """Where Ray Train may write."""

    @property
    def name(self) -> str:
        """Name of the group, such as 'group 3'."""
        return self.settings.group


class GroupRun(threading.Thread):
    """A running group: a thread that lasts as long as its Ray Train run."""

    def __init__(self, start: GroupStart, queue: Any) -> None:
        super().__init__(name=f"raynas-{start.name}", daemon=True)
        self.group = start.group
        self.group_name = start.name
        self.queue = queue
        self.error: BaseException | None = None
        self._controller: Any = None
        self._placement_group: Any = None
        self._trainer = _trainer(start)

    def run(self) -> None:
        try:
            self._trainer.fit()
        # Ray raises SystemExit in threads that still wait for it when it is shut down.
        except (Exception, SystemExit) as error:
            logger.debug("%s ended", self.group_name, exc_info=True)
            self.error = error

    def locate(self) -> None:
        """Remembers the group's controller and placement group while the queue can be asked for them."""
        with contextlib.suppress(RayActorError):
            self._controller, self._placement_group = ray.get(self.queue.location.remote(self.group_name))

    def kill(self) -> None:
        """Ends a run that would go on, or wait for its node; its thread ends soon after."""
        self.locate()
        # Unknown until the run's controller has started and reported itself to the queue.
        if self._controller is not None:
            ray.kill(self._controller)

    def clear(self) -> None:
        """Frees the resources of a run, which stay taken when its controller was killed."""
        self.locate()
        if self._placement_group is not None:
            ray.util.remove_placement_group(self._placement_group)


def _serve(settings: WorkerSettings) -> None:
    # Only here: this module is imported by processes that train nothing, and torch takes seconds to load.
    from raynas.engine.worker import serve_children

    serve_children(settings)


def _trainer(start: GroupStart) -> DataParallelTrainer:
    settings = start.settings
    resources: dict[str, float] = {"CPU": start.cpus}
    if settings.gpus:
        resources["GPU"] = settings.gpus
    shares = settings.per_child > 1
    # NCCL refuses two ranks on one GPU.
    shared = TorchConfig(backend="nccl" if settings.gpus >= 1 else "gloo")
    return DataParallelTrainer(
        # The settings are bound to the function, which Ray unpickles in the workers alone, and not given as
        # the loop's config, which it unpickles in the controller too, with all that they import.
        functools.partial(_serve, settings),
        backend_config=shared if shares else SeparateConfig(),
        scaling_config=ScalingConfig(  # type: ignore[call-arg]
            num_workers=start.group.num_workers,
            use_gpu=settings.gpus > 0,
            resources_per_worker=resources,
            label_selector=None if start.group.node is None else {NODE_ID: start.group.node},
        ),
        run_config=RunConfig(
            name=start.name.replace(" ", "-"),
            storage_path=start.folder,
            worker_runtime_env=worker_environment(),
            # Dead workers are restarted without end: the queue decides when a child has failed. A controller
            # that can't place its workers ends its run: the supervisor decides where to start another group.
            failure_config=FailureConfig(max_failures=-1, controller_failure_limit=0),  # type: ignore[call-arg]
            callbacks=[
                ReportController(settings.queue_name, start.name),  # type: ignore[list-item]
                ReportLostWorkers(settings.queue_name, start.name, shares_child=shares),  # type: ignore[list-item]
            ],
        ),
    )
