"""Optimisers without torch's compiler compute what torch's own compute."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from raynas.nn.eager_optimizers import SGD, Adam, AdamW

STEP = """
import sys, torch
from raynas.nn.eager_optimizers import {name}
weight = torch.nn.Parameter(torch.ones(3))
optimizer = {name}([weight], lr=0.5)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2)
optimizer.load_state_dict(optimizer.state_dict())
weight.sum().backward()
optimizer.step()
schedule.step()
optimizer.zero_grad()
assert weight.grad is None and weight.tolist() != [1.0] * 3
print("torch._dynamo" in sys.modules)
"""
KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "SGD": (SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01, "fused": True}),
    "Adam": (Adam, torch.optim.Adam, {}),
    "AdamW": (AdamW, torch.optim.AdamW, {"weight_decay": 0.1}),
}


@pytest.mark.parametrize("name", KINDS)
def test_no_compiler_is_loaded(name):
    code = STEP.format(name=name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


@pytest.mark.parametrize("name", KINDS)
def test_steps_are_those_of_torch_to_the_bit(name):
    weights = []
    for kind in KINDS[name][:2]:
        torch.manual_seed(0)
        network = nn.Linear(3, 2)
        optimizer = kind(network.parameters(), lr=0.1, **KINDS[name][2])
        for _ in range(3):
            optimizer.zero_grad()
            network(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
        assert all(not parameter.grad_fn for parameter in network.parameters())
        weights.append(torch.cat([parameter.detach().flatten() for parameter in network.parameters()]))
    assert torch.equal(*weights)
