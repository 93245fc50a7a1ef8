"""What a worker group brings into the controller of its Ray Train run: how workers are set up and watched.

The controller is a process of its own, which starts before the workers. So this module does without torch,
whose import takes longer than everything else that the controller does.
"""

from __future__ import annotations

import contextlib
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.train import BackendConfig, UserCallback
from ray.train.backend import Backend
from ray.train.v2._internal.execution.callback import ControllerCallback

from raynas.engine.attempts import worker_name
from raynas.engine.deaths import explain_death


class Separate(Backend):
    """Backend without a process group: workers are not connected, and each sees its own GPU only."""

    has_replica_groups = True


class SeparateConfig(BackendConfig):
    """Configuration of workers that train a child each."""

    @property
    def backend_cls(self) -> type[Backend]:
        return Separate

    @property
    def train_func_context(self) -> Any:
        """What TorchConfig has: a worker's GPU becomes torch's default one."""
        # Only here: the controller, which imports this module, needs no torch.
        from ray.train.torch.config import TorchConfigContextManager

        return TorchConfigContextManager


class ReportController(ControllerCallback):
    """Reports the actor that controls the group to the queue, so that the driver can kill the group."""

    def __init__(self, queue_name: str, group: str) -> None:
        self.queue_name = queue_name
        self.group = group

    def after_controller_start(self, train_run_context: Any) -> None:
        controller = ray.get_runtime_context().current_actor
        # The queue is gone if the search has ended meanwhile.
        with contextlib.suppress(ValueError, RayActorError):
            ray.get(ray.get_actor(self.queue_name).set_controller.remote(self.group, controller))


class ReportLostWorkers(UserCallback):
    """Reports dead workers to the queue at once, so that others take their children during the restart."""

    def __init__(self, queue_name: str, group: str, *, shares_child: bool) -> None:
        self.queue_name = queue_name
        self.group = group
        self.shares_child = shares_child

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        with contextlib.suppress(ValueError, RayActorError):
            queue = ray.get_actor(self.queue_name)
            for rank, error in worker_exceptions.items():
                death = explain_death(error)
                # Of ranks that share a child, only rank 0 talks to the queue.
                worker = worker_name(self.group, 0 if self.shares_child else rank)
                ray.get(queue.lost.remote(worker, death.reason, caused_by_child=death.caused_by_child))
