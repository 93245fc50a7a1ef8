"""Cells and networks as torch modules. Needs torch alone."""

from raynas.nn.cell import Cell
from raynas.nn.complexity import Complexity, complexity
from raynas.nn.network import Network, NetworkConfig

__all__ = ["Cell", "Complexity", "Network", "NetworkConfig", "complexity"]
