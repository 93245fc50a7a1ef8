"""Cells and networks, as data and as torch modules.

The modules need torch, the data about them no library. May import cells, config and what is below them.
"""

from raynas.nn.cell import Cell
from raynas.nn.complexity import Complexity, complexity
from raynas.nn.config import Conventions, NetworkConfig
from raynas.nn.network import Network
from raynas.nn.spec import NetworkSpec

__all__ = ["Cell", "Complexity", "Conventions", "Network", "NetworkConfig", "NetworkSpec", "complexity"]
