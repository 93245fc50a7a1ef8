"""A final training of any task in this process, in place of Ray's workers."""

from __future__ import annotations

import contextlib
import copy
import types
from typing import Any

import pytest

from raynas.engine.final import TrainedStates
from raynas.training.device import Placement
from raynas.training.final_config import EpochSummary


def without_ray(monkeypatch: pytest.MonkeyPatch, *, best: int) -> None:
    """Trains where `execute` is called; the epoch `best` is taken for the best."""

    def train_here(factory: Any, data: Any, *, report_summary: Any, **_: Any) -> TrainedStates:
        """As train_on_cluster does."""
        training, states = factory(Placement(), data), {}

        def save(summary: EpochSummary | None) -> None:
            assert summary is not None
            states[summary.epoch] = copy.deepcopy(training.state_dict())
            report_summary(summary)

        training.run(save)
        return TrainedStates(states[max(states)], states[best], best)

    module = "raynas.programs.train.execute"
    monkeypatch.setattr(f"{module}.connected", lambda *_, **__: contextlib.nullcontext())
    plan = types.SimpleNamespace(num_workers=1, gpus=0.0)
    monkeypatch.setattr(f"{module}.plan_training", lambda *_, **__: plan)
    monkeypatch.setattr(f"{module}.train_on_cluster", train_here)
