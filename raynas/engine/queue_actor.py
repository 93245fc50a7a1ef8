"""The work queue as a Ray actor. Its process needs no torch, which would take seconds to load."""

from __future__ import annotations

from typing import Any

import ray

from raynas.engine.attempts import TimeLimit
from raynas.engine.queue import WorkQueue


class QueueActor(WorkQueue):
    """The WorkQueue as an actor, with the data set that every worker needs and the handles of the groups."""

    def __init__(self, max_attempts: int, time_limit: TimeLimit | None, data: list[Any]) -> None:
        super().__init__(max_attempts, time_limit)
        # Ray passes a reference inside a list on as a reference: each node fetches the arrays once, into
        # shared memory.
        self._data = data
        self._controllers: dict[str, Any] = {}
        self._placement_groups: dict[str, Any] = {}

    async def data(self) -> Any:
        """The data set; ray.get of the call gives a reference, and ray.get of that the arrays."""
        return self._data[0]

    async def set_controller(self, group: str, controller: Any) -> None:
        """Keeps the actor that controls a group's run, for `location`."""
        self._controllers[group] = controller

    async def set_placement_group(self, group: str, placement_group: Any) -> None:
        """Keeps the placement group of a group's workers, for `location`."""
        self._placement_groups[group] = placement_group

    async def location(self, group: str) -> tuple[Any, Any]:
        """The controller of a group's run and the placement group of its workers; each is None until
        known.
        """
        return self._controllers.get(group), self._placement_groups.get(group)

    async def save(self, worker: str, child_id: int, state: Any) -> None:
        # Put into Ray's object store, which spills to disk, by this actor: an object is lost with the process
        # that owns it, and the checkpoint must outlive its worker.
        await super().save(worker, child_id, ray.put(state))

    async def saved(self, child_id: int) -> Any:
        reference = await super().saved(child_id)
        return None if reference is None else await reference
