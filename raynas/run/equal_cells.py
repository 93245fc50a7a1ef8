"""Architectures that come again: whose score counts for them, and who waits for it. Pure Python."""

from __future__ import annotations


class EqualCells:
    """One owner for each architecture: the child that is trained, or was, for all that are equal to it."""

    def __init__(self) -> None:
        self._owners: dict[str, int] = {}
        self._waiting: dict[int, list[int]] = {}

    @property
    def is_awaited(self) -> bool:
        """Whether any child waits for another's score."""
        return bool(self._waiting)

    def owner(self, child_id: int, arch_id: str) -> int:
        """The child whose score counts for `arch_id`; `child_id` itself if there is none yet."""
        return self._owners.setdefault(arch_id, child_id)

    def wait(self, child_id: int, owner: int) -> None:
        self._waiting.setdefault(owner, []).append(child_id)

    def ended(self, child_id: int, arch_id: str, *, is_scored: bool) -> list[int]:
        """The children that waited for this one; without a score the next of them is to be trained."""
        if not is_scored and self._owners.get(arch_id) == child_id:
            del self._owners[arch_id]
        return self._waiting.pop(child_id, [])
