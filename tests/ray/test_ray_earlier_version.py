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
# Another processor may round otherwise than the one that trained the network beside this test.
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
    for name, weights in load_model(result.model).network.state_dict().items():
        torch.testing.assert_close(weights, trained[name], rtol=TOLERANCE, atol=TOLERANCE)
