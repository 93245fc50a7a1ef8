"""Cells and networks, as data and as torch modules.

The modules need torch, which is loaded at their first use; the data about them need no library. May import
cells, config and what is below them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from raynas.nn.complexity import Complexity, complexity
from raynas.nn.config import Conventions, NetworkConfig
from raynas.nn.spec import NetworkSpec

if TYPE_CHECKING:
    from raynas.nn.cell import Cell
    from raynas.nn.network import Network

__all__ = ["Cell", "Complexity", "Conventions", "Network", "NetworkConfig", "NetworkSpec", "complexity"]


def __getattr__(name: str) -> Any:
    if name not in ("Cell", "Network"):
        raise AttributeError(f"module 'raynas.nn' has no attribute {name!r}")
    return getattr(importlib.import_module(f"raynas.nn.{name.lower()}"), name)
