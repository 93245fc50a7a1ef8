"""torch's optimisers without its compiler.

Every method of a torch.optim.Optimizer imports torch._dynamo, to tell the compiler how to treat it (read in
torch 2.13). In a process that compiles nothing this is the longest part of its start: 3 to 4 seconds, more
than the training of a small child. The classes here have the same methods without those wrappers.
"""

from __future__ import annotations

import inspect
from typing import TypeVar

import torch
from torch.optim import Optimizer

AnyOptimizer = TypeVar("AnyOptimizer", bound=Optimizer)
_METHODS = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def eager(kind: type[AnyOptimizer]) -> type[AnyOptimizer]:
    """A subclass of an optimiser that computes the same and doesn't load the compiler; also a decorator."""
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in _METHODS}
    # torch's own wrapper of `step` turns gradients off, too.
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), methods | {"__doc__": kind.__doc__, "__module__": __name__})


SGD = eager(torch.optim.SGD)
Adam = eager(torch.optim.Adam)
AdamW = eager(torch.optim.AdamW)
