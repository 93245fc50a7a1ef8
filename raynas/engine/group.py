"""One worker group: a run of Ray Train from its start to its end, and what it tells the queue of its workers.

Workers that train a child each are replicas of one another to Ray Train: one that dies is replaced alone, and
the others don't notice. Workers that share a child start again together. So a group can be of node size: each
takes four more processes and 0.6 GB on the driver's node, which a group for each worker would multiply.

This file relies on two things that Ray doesn't promise to keep (read in ray 2.60.0): that a Backend can say
`has_replica_groups`, and ControllerCallback. tests/ray/test_ray_search.py fails when they change.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import dataclass
from typing import Any

import ray
import ray.util
from ray.exceptions import RayActorError
from ray.train import FailureConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.backend import Backend
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal.execution.callback import ControllerCallback

from raynas.engine.cluster import NODE_ID
from raynas.engine.pool_plan import WorkerGroup
from raynas.engine.reasons import death_of
from raynas.engine.work import worker_name
from raynas.engine.worker import WorkerSettings, serve_children

logger = logging.getLogger(__name__)


class Separate(Backend):  # type: ignore[misc]
    """Nothing connects the workers, and each sees its own card alone."""

    has_replica_groups = True


class SeparateConfig(TorchConfig):  # type: ignore[misc]
    """Of workers that train a child each."""

    @property
    def backend_cls(self) -> type[Backend]:
        return Separate


class Introduction(ControllerCallback):  # type: ignore[misc]
    """Tells the queue who controls the group, so that the driver can end a group that waits for its node."""

    def __init__(self, queue_name: str, group: str) -> None:
        self.queue_name, self.group = queue_name, group

    def after_controller_start(self, train_run_context: Any) -> None:
        controller = ray.get_runtime_context().current_actor
        with contextlib.suppress(ValueError, RayActorError):
            ray.get(ray.get_actor(self.queue_name).introduce.remote(self.group, controller))


class Deaths(UserCallback):  # type: ignore[misc]
    """Tells the queue at once which workers died, and of what: their children go elsewhere meanwhile."""

    def __init__(self, queue_name: str, group: str, *, shares_child: bool) -> None:
        self.queue_name, self.group, self.shares_child = queue_name, group, shares_child

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        with contextlib.suppress(ValueError, RayActorError):
            queue = ray.get_actor(self.queue_name)
            for rank, error in worker_exceptions.items():
                death = death_of(error)
                # Of ranks that share a child, the first speaks to the queue.
                worker = worker_name(self.group, 0 if self.shares_child else rank)
                ray.get(queue.lost.remote(worker, death.reason, is_its_own=death.is_its_own))


@dataclass(frozen=True)
class GroupStart:
    """What is needed to start a group."""

    group: WorkerGroup
    cpus: float
    settings: WorkerSettings
    folder: str
    """Where Ray Train may write."""

    @property
    def name(self) -> str:
        return self.settings.group


class GroupRun(threading.Thread):
    """A group at work: a thread that lasts as long as its Ray Train run."""

    def __init__(self, start: GroupStart, queue: Any) -> None:
        super().__init__(name=f"raynas-{start.name}", daemon=True)
        self.group, self.group_name, self.queue = start.group, start.name, queue
        self.error: BaseException | None = None
        self._controller: Any = None
        self._place: Any = None
        self._trainer = _trainer(start)

    def run(self) -> None:
        try:
            self._trainer.fit()
        # Ray raises SystemExit in the threads that still wait for it when it is shut down.
        except (Exception, SystemExit) as error:
            logger.debug("%s ended", self.group_name, exc_info=True)
            self.error = error

    def look_up(self) -> None:
        """Remembers who controls the group and where its workers are: later the queue may be lost."""
        with contextlib.suppress(RayActorError):
            self._controller, self._place = ray.get(self.queue.whereabouts.remote(self.group_name))

    def kill(self) -> None:
        """Ends a run that would go on or wait; its thread ends soon after."""
        self.look_up()
        if self._controller is not None:
            ray.kill(self._controller)

    def clear(self) -> None:
        """Frees what a run has left behind: of one whose controller was killed the resources stay taken."""
        self.look_up()
        if self._place is not None:
            ray.util.remove_placement_group(self._place)


def _trainer(start: GroupStart) -> TorchTrainer:
    group, settings = start.group, start.settings
    resources: dict[str, float] = {"CPU": start.cpus}
    if settings.gpus:
        resources["GPU"] = settings.gpus
    shares = settings.per_child > 1
    # Two ranks on one card can't speak NCCL.
    backend = "nccl" if settings.gpus >= 1 else "gloo"
    return TorchTrainer(
        serve_children,
        train_loop_config=settings,
        torch_config=TorchConfig(backend=backend) if shares else SeparateConfig(backend=backend),
        scaling_config=ScalingConfig(
            num_workers=group.num_workers,
            use_gpu=settings.gpus > 0,
            resources_per_worker=resources,
            label_selector=None if group.node is None else {NODE_ID: group.node},
        ),
        run_config=RunConfig(
            name=start.name.replace(" ", "-"),
            storage_path=start.folder,
            failure_config=FailureConfig(max_failures=-1, controller_failure_limit=0),
            callbacks=[
                Introduction(settings.queue_name, start.name),
                Deaths(settings.queue_name, start.name, shares_child=shares),
            ],
        ),
    )
