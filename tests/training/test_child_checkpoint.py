"""A child that is killed between two epochs and goes on elsewhere ends with the bits of one left alone."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch

from raynas.child import Child, EpochReport
from raynas.nn import NetworkConfig
from raynas.training.child_checkpoint import from_bytes, to_bytes
from raynas.training.device import Placement
from raynas.training.trainer import ChildTrainer, Resumable
from search_spaces.nasnet import NASNET_A
from tests.training.tiny_children import NETWORK, child_config, digits

CHILD = Child(0, NASNET_A, NASNET_A.arch_id, seed=3)
EPOCHS = 4
# Everything that uses random numbers.
RANDOM = NETWORK.model_copy(update={"drop_path": 0.3, "dropout": 0.3, "auxiliary_head": True})
AUGMENTED = {"augmentation": {"crop_padding": 1, "flip": True, "cutout": 2}}


class Kept:
    """Checkpoints in memory."""

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.state: Any = None
        self.epochs: list[int] = []

    def load(self):
        return self.state

    def save(self, epoch, state):
        self.state = state
        self.epochs.append(epoch)

    def is_due(self, epoch):
        return epoch % self.every == 0


class Killed(Exception):
    pass


def trainer(network: NetworkConfig = RANDOM, **fields: Any) -> ChildTrainer:
    config = child_config(**{"epochs": EPOCHS, **AUGMENTED, **fields})
    return ChildTrainer(network, config, digits(), Placement())


def without_seconds(result):
    curve = tuple(report.model_copy(update={"seconds": 0.0}) for report in result.curve)
    return result.model_copy(update={"seconds": 0.0, "curve": curve})


def killed_in(epoch: int, kept: Kept, **fields: Any) -> None:
    """An attempt that ends at its first step after this many epochs."""
    reports: list[EpochReport] = []

    def should_stop():
        if len(reports) == epoch:
            raise Killed
        return False

    with pytest.raises(Killed):
        trainer(**fields).with_checkpoints(kept)(CHILD, reports.append, should_stop)


@pytest.fixture(scope="module")
def undisturbed():
    """The result and the last checkpoint."""
    kept = Kept()
    return without_seconds(trainer().with_checkpoints(kept)(CHILD, lambda _: None, lambda: False)), kept.state


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_killed_child_goes_on_to_the_same_bits(undisturbed, epoch):
    kept = Kept()
    reports: list[EpochReport] = []
    killed_in(epoch, kept)
    # Draws of others in the new process, which must not matter.
    torch.rand(5)
    result = trainer().with_checkpoints(kept)(CHILD, reports.append, lambda: False)
    expected, state = undisturbed
    assert without_seconds(result) == expected
    ours, theirs = from_bytes(kept.state, "cpu"), from_bytes(state, "cpu")
    for part in ("network", "optimizer"):
        assert pickle.dumps(flat(ours[part])) == pickle.dumps(flat(theirs[part]))
    # Including earlier ones: the first attempt may have died before it reported its last epoch.
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert [report.seconds for report in reports] == sorted(report.seconds for report in reports)


def flat(state: object) -> list[object]:
    """All numbers of a nested state, in order."""
    if isinstance(state, torch.Tensor):
        return [state.tolist()]
    if isinstance(state, dict):
        return [item for key in state for item in [key, *flat(state[key])]]
    return [item for part in state for item in flat(part)] if isinstance(state, list | tuple) else [state]


def test_keeping_a_child_changes_nothing(undisturbed):
    assert without_seconds(trainer()(CHILD, lambda _: None, lambda: False)) == undisturbed[0]


@pytest.mark.slow
@pytest.mark.parametrize(("every", "epochs"), [(1, [1, 2, 3]), (2, [2]), (3, [3]), (9, [])])
def test_a_child_is_kept_as_often_as_asked_and_not_at_its_end(every, epochs):
    kept = Kept(every)
    trainer(network=NETWORK).with_checkpoints(kept)(CHILD, lambda _: None, lambda: False)
    assert kept.epochs == epochs


def test_a_child_that_died_before_it_was_kept_begins_anew(undisturbed):
    kept = Kept(every=9)
    killed_in(1, kept)
    result = trainer().with_checkpoints(kept)(CHILD, lambda _: None, lambda: False)
    assert without_seconds(result) == undisturbed[0]


def test_a_worker_knows_that_a_child_trainer_can_go_on():
    assert isinstance(trainer(), Resumable)
    assert not isinstance(lambda child, report, should_stop: None, Resumable)


def test_nothing_but_tensors_and_plain_values_is_unpickled():
    class Evil:
        def __reduce__(self):
            return print, ("executed",)

    with pytest.raises(pickle.UnpicklingError, match="weights_only"):
        from_bytes(to_bytes({"network": Evil()}), "cpu")
