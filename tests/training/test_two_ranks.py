"""Two processes train one child together."""

from __future__ import annotations

import pytest
import torch

from tests.training.rank_process import STOP_AFTER_STEPS, curve_of, train_rank

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ranks(two_ranks):
    return [ends["tiny"] for ends in two_ranks]


def assert_same_tensors(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_ranks_end_with_the_same_parameters(ranks):
    assert_same_tensors(ranks[0]["parameters"], ranks[1]["parameters"])


def test_ranks_end_with_the_same_running_statistics(ranks):
    # Else the accuracy is a mean over two networks, and neither's own.
    assert_same_tensors(ranks[0]["buffers"], ranks[1]["buffers"])


def test_ranks_agree_on_the_accuracy_and_the_loss(ranks):
    first, second = (rank["result"] for rank in ranks)
    assert (first.status, second.status) == ("completed", "completed")
    assert curve_of(first) == curve_of(second)


def test_rank_0_alone_reports(ranks):
    assert [rank["num_reports"] for rank in ranks] == [2, 0]


def test_ranks_that_go_on_from_a_checkpoint_come_to_the_same_end(two_ranks, ranks):
    for ends, undisturbed in zip(two_ranks, ranks, strict=True):
        assert curve_of(ends["resumed"]["result"]) == curve_of(undisturbed["result"])
        assert_same_tensors(ends["resumed"]["parameters"], undisturbed["parameters"])
        assert_same_tensors(ends["resumed"]["buffers"], undisturbed["buffers"])


def test_two_ranks_come_near_to_one(ranks):
    # Not to the same bits: each rank normalises its own half of a batch.
    alone, together = train_rank(0, 1, "tiny")["result"], ranks[0]["result"]
    for one, two in zip(alone.curve, together.curve, strict=True):
        assert two.train_loss == pytest.approx(one.train_loss, abs=0.3)
        assert two.accuracy == pytest.approx(one.accuracy, abs=0.35)


def test_stop_on_rank_0_ends_both_at_the_same_step(two_ranks):
    first, second = (ends["stopped"] for ends in two_ranks)
    assert [rank["result"].status for rank in (first, second)] == ["stopped", "stopped"]
    assert len(first["result"].curve) == len(second["result"].curve) == STOP_AFTER_STEPS // 3
    assert_same_tensors(first["parameters"], second["parameters"])


def test_cell_that_leaves_an_input_unused_trains_on_two_ranks(two_ranks):
    first, second = (ends["previous_alone"] for ends in two_ranks)
    assert first["result"].status == "completed"
    assert_same_tensors(first["parameters"], second["parameters"])
