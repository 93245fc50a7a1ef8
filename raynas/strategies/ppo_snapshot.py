"""The outcome of all PPO updates as arrays: weights, Adam's moments, and the statistics of each update.

Shapes: U updates, S statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from raynas.strategies.controller import Array

STATISTICS = ("mean_reward", "baseline", "entropy", "kl")
"""Statistics of one update, in the order in which they are stored."""
HISTORY = "statistics"
"""Name of the array of statistics: one row per update."""
MOMENTS = ("exp_avg", "exp_avg_sq")
"""Adam's moments, as torch names them."""


def learned_arrays(
    controller: nn.Module, optimizer: torch.optim.Adam, history: Sequence[Mapping[str, float]]
) -> dict[str, Array]:
    """Copies of everything that the updates changed, by name."""
    rows = [[statistics[name] for name in STATISTICS] for statistics in history]
    arrays: dict[str, Array] = {HISTORY: np.array(rows, dtype=np.float64)}
    for name, parameter in controller.named_parameters():
        arrays[f"weight.{name}"] = _copied(parameter)
        for moment in MOMENTS:
            arrays[f"{moment}.{name}"] = _copied(optimizer.state[parameter][moment])
    return arrays


class Recalled:
    """Validated arrays of `learned_arrays`, which a replay uses in place of the updates that led to them.

    Raises:
        ValueError: the arrays don't belong to such a controller.
    """

    def __init__(self, arrays: Mapping[str, Array], controller: nn.Module) -> None:
        # Without statistics the stand-in has a shape that the check below refuses.
        self.history_US = arrays.get(HISTORY, np.empty(0))
        expected = {name: array.shape for name, array in _named(controller)}
        found = {name: array.shape for name, array in arrays.items() if name != HISTORY}
        if found != expected or self.history_US.shape[1:] != (len(STATISTICS),) or not self.num_updates:
            raise ValueError("the arrays have other names or shapes than this controller's")
        if any(array.dtype != _dtype(name) for name, array in arrays.items()):
            raise ValueError("the arrays have another data type than this controller's")
        # A damaged snapshot must be noticed here: a policy of NaN would fail much later, and far from the
        # cause.
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("the arrays hold NaN or infinity")
        self._arrays = arrays

    @property
    def num_updates(self) -> int:
        """Number of updates whose outcome the arrays hold."""
        return len(self.history_US)

    def statistics(self, update: int) -> dict[str, float]:
        """The statistics of an update, counted from 0."""
        return dict(zip(STATISTICS, self.history_US[update].tolist(), strict=True))

    def restore(self, controller: nn.Module, optimizer: torch.optim.Adam, *, num_steps: int) -> None:
        """Sets controller and optimiser to the state that they had after `num_steps` gradient steps."""
        with torch.no_grad():
            for name, parameter in controller.named_parameters():
                parameter.copy_(torch.tensor(self._arrays[f"weight.{name}"]))
                moments = {moment: torch.tensor(self._arrays[f"{moment}.{name}"]) for moment in MOMENTS}
                # Adam makes this state itself at its first step. Put here in the same form, the next step
                # goes on from it.
                optimizer.state[parameter] = {"step": torch.tensor(float(num_steps)), **moments}


def _named(controller: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in controller.named_parameters():
        for kind in ("weight", *MOMENTS):
            yield f"{kind}.{name}", parameter


def _dtype(name: str) -> type[np.floating]:
    return np.float64 if name == HISTORY else np.float32


def _copied(tensor: Tensor) -> Array:
    return tensor.detach().numpy().copy()
