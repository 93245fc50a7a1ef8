"""A search and a training that raynas 0.1.0 began, before its modules moved, are gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import raynas
from raynas.models.folder import load_model
from raynas.run.events import Finished, Resumed
from raynas.run.journal import read_events

pytestmark = pytest.mark.ray

FOLDER = Path(__file__).parents[1] / "earlier_version"
# The network beside this test was trained in bfloat16, with sums in another order.
TOLERANCE = 0.05
FEW_CPUS = {"workers": {"count": 1, "cpus": 0.01}}


def test_a_search_goes_on_with_its_journal(pool, tmp_path):
    shutil.copytree(FOLDER / "search", tmp_path / "search")
    before = read_events(tmp_path / "search" / "journal.jsonl")
    raynas.run_search(out=tmp_path / "search", resume=True, settings=FEW_CPUS)
    events = read_events(tmp_path / "search" / "journal.jsonl")
    assert events[: len(before)] == before
    assert isinstance(events[len(before)], Resumed)
    finished = [event.child for event in events if isinstance(event, Finished)]
    assert sorted(finished) == list(range(14))


def test_a_training_ends_with_the_weights_that_it_had(pool, tmp_path):
    shutil.copytree(FOLDER / "training", tmp_path / "training")
    result = raynas.train_final(out=tmp_path / "training", resume=True, settings=FEW_CPUS)
    assert [summary.epoch for summary in result.summaries] == [1, 2, 3, 4]
    trained = load_model(FOLDER / "trained" / "model").network.state_dict()
    given = load_model(result.model).network.state_dict()
    assert given.keys() == trained.keys()
    # Variances are squares, in which single ones differ by more: they are compared together.
    running = [name for name in trained if "running" in name]
    for name in trained.keys() - set(running):
        torch.testing.assert_close(given[name], trained[name], rtol=TOLERANCE, atol=TOLERANCE)
    expected, statistics = (torch.cat([state[name] for name in running]) for state in (trained, given))
    assert float((statistics - expected).norm()) < TOLERANCE * float(expected.norm())
