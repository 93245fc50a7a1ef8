"""Cells and networks, as data and as torch modules. Needs no library but torch."""

from raynas.nn.cell import Cell
from raynas.nn.complexity import Complexity, complexity
from raynas.nn.config import Conventions, NetworkConfig
from raynas.nn.network import Network
from raynas.nn.spec import NetworkSpec

__all__ = ["Cell", "Complexity", "Conventions", "Network", "NetworkConfig", "NetworkSpec", "complexity"]
