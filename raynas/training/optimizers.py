"""Optimisers of final training.

Source: Zoph et al. 2018, A.7 (RMSProp with decay 0.9 and epsilon 1.0, exponential decay of the learning
rate), and the notes in tensorflow/models slim nasnet.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from raynas.nn.eager_optimizers import SGD, AdamW, eager
from raynas.training.optimizer_config import OptimizerConfig


def build_optimizer(network: nn.Module, config: OptimizerConfig, batch_size: int) -> torch.optim.Optimizer:
    """The optimiser of `network`: weights in one group, norms and biases, without weight decay, in
    another.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        # Weights of convolutions and linear layers have two dimensions or more, biases and the parameters of
        # norms one.
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = config.rate(batch_size)
    if config.name == "adamw":
        return AdamW(groups, lr=rate, betas=(config.momentum, 0.999))
    if config.name == "sgd":
        return SGD(groups, lr=rate, momentum=config.momentum, nesterov=config.momentum > 0)
    return TensorFlowRMSprop(groups, rate, config.momentum, config.decay, config.epsilon)


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Loads the moments in `state`, an optimiser's state_dict. Learning rate and other options stay as they
    are.

    Raises:
        ValueError: the moments don't fit this optimiser and its parameters.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, moments in state["state"].items():
        # torch would take a damaged state as it is and fail in the middle of the first step, or worse, not at
        # all.
        if type(index) is not int or not 0 <= index < len(parameters):
            raise ValueError(f"the optimiser has no parameter {index!r}")
        if set(moments) != _MOMENTS[type(optimizer)]:
            raise ValueError(f"another optimiser has left {', '.join(map(str, moments))}")
        for name, value in moments.items():
            if not _is_moment(value, torch.Size() if name == "step" else parameters[index].shape):
                raise ValueError(f"{name} of parameter {index} is damaged, or of another network")
    # Cloned, because elements of a damaged tensor may share memory, which breaks updates in place.
    moments_of = {
        index: {name: None if value is None else value.clone() for name, value in moments.items()}
        for index, moments in state["state"].items()
    }
    # The optimiser's own groups, so that its settings, such as a changed learning rate, stay.
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments_of, "param_groups": groups})


def _is_moment(value: object, shape: torch.Size) -> bool:
    """Whether a value can be a moment of this shape. None is a momentum of zero; a step count is not
    negative.
    """
    if value is None:
        return True
    # An empty shape is that of a step count, which is one number.
    return isinstance(value, Tensor) and value.shape == shape and (bool(shape) or bool(value >= 0))


@eager
class TensorFlowRMSprop(torch.optim.Optimizer):
    """TensorFlow's RMSProp: epsilon under the root, mean squares that begin at one, and the learning rate
    inside the momentum.

    Source: tensorflow/core/kernels/training_ops.cc, ApplyRMSProp.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        learning_rate: float,
        momentum: float,
        decay: float,
        epsilon: float,
    ) -> None:
        defaults = {"lr": learning_rate, "momentum": momentum, "decay": decay, "epsilon": epsilon}
        super().__init__(groups, defaults | {"weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Updates every parameter that has a gradient; `closure` must be None."""
        # None of raynas's loops computes the loss anew within a step.
        assert closure is None
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._update(parameters, group)

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        # torch._foreach_* updates all parameters in a few kernels instead of a few per parameter.
        for parameter in parameters:
            if not self.state[parameter]:
                # One, where PyTorch begins at zero: TensorFlow's first steps are smaller.
                self.state[parameter]["mean_square"] = torch.ones_like(parameter)
                self.state[parameter]["velocity"] = torch.zeros_like(parameter)
        gradients = [p.grad for p in parameters if p.grad is not None]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        mean_squares = [self.state[p]["mean_square"] for p in parameters]
        velocities = [self.state[p]["velocity"] for p in parameters]
        torch._foreach_lerp_(mean_squares, torch._foreach_mul(gradients, gradients), 1.0 - group["decay"])
        # velocity = momentum * velocity + rate * gradient / sqrt(mean_square + epsilon)
        roots = torch._foreach_add(mean_squares, group["epsilon"])
        torch._foreach_sqrt_(roots)
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_addcdiv_(velocities, gradients, roots, value=group["lr"])
        torch._foreach_sub_(parameters, velocities)


_MOMENTS = {
    SGD: {"momentum_buffer"},
    AdamW: {"step", "exp_avg", "exp_avg_sq"},
    TensorFlowRMSprop: {"mean_square", "velocity"},
}
"""Names of the values that each optimiser keeps for a parameter."""
