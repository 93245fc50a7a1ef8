"""Which files are for training and which for validation, by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Literal, TypeVar

from raynas.data.layout import role_of_path

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")

Item = TypeVar("Item")


def by_split(items: Iterable[Item], path_of: Callable[[Item], PurePath]) -> dict[Split, list[Item]]:
    """Sorts items by what their paths tell; a split without an item is left out.

    Training are those named train, or else those whose name tells nothing. Validation are those named val or
    validation, or else those named test.
    """
    roles: dict[str, list[Item]] = {}
    for item in items:
        roles.setdefault(_role(path_of(item)), []).append(item)
    found = {
        "train": roles.get("train") or roles.get("unnamed"),
        "validation": roles.get("validation") or roles.get("test"),
    }
    return {split: found[split] or [] for split in SPLITS if found[split]}


def _role(path: PurePath) -> str:
    role = role_of_path(path)
    if role != "held out":
        return role or "unnamed"
    telling = next(part for part in reversed(path.parts) if role_of_path(PurePath(part)))
    return "validation" if "val" in re.sub("eval", "", telling.lower()) else "test"
