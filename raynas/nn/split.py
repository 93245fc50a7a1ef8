"""A network in two parts: its cells up to one of them, and the rest, which takes what those give out.

A detector runs the first part once for each picture, and the second part once for each box.
"""

# Shapes: N images, C channels, H x W pixels, F features.

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from raynas.nn.network import Network, run_cells, run_stem


class FirstCells(nn.Module):
    """Stem and first cells of a network, whose modules they are.

    Attributes:
        states: the outputs that `forward` returns, in its order.
    """

    def __init__(self, network: Network, num_cells: int) -> None:
        super().__init__()
        self.stem = network.stem
        self.cells = network.cells[:num_cells]
        self.states = network.plan.states_before(num_cells)
        self._places = network.plan.cells[:num_cells]

    def forward(self, images_NCHW: Tensor) -> list[Tensor]:
        """The outputs (N, C, H, W) that the remaining cells take, the oldest first."""
        numbers = [state.output for state in self.states]
        outputs = run_stem(self.stem, images_NCHW)
        run_cells(self.cells, self._places, outputs, numbers)
        return [outputs[number] for number in numbers]


class LastCells(nn.Module):
    """Remaining cells of a network and the layers after them, whose modules they are.

    Attributes:
        states: the outputs of the first cells that `forward` takes, in its order.
        num_features: channels that `forward` returns.
    """

    def __init__(self, network: Network, num_cells: int) -> None:
        super().__init__()
        self.cells = network.cells[num_cells:]
        self.head = network.head
        self.states = network.plan.states_before(num_cells)
        self.num_features = network.num_features
        self._places = network.plan.cells[num_cells:]

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """The network's last map (N, F, H, W), ready to be pooled."""
        outputs = {state.output: map_NCHW for state, map_NCHW in zip(self.states, states, strict=True)}
        run_cells(self.cells, self._places, outputs)
        return self.head(outputs[max(outputs)])  # type: ignore[no-any-return]


def split_network(network: Network, num_cells: int) -> tuple[FirstCells, LastCells]:
    """The first `num_cells` cells with the stem, and the rest; the classifier belongs to neither."""
    return FirstCells(network, num_cells), LastCells(network, num_cells)
