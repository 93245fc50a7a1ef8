"""TuneSearcher in somebody's own Tuner, whose trials may report anything. No Ray is started."""

from __future__ import annotations

import logging
import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch

from raynas.engine.searcher import TuneSearcher
from raynas.errors import UsageError
from tests.run.builders import Formula

NAN, INF = math.nan, math.inf


def searcher(metric: str = "accuracy") -> TuneSearcher:
    return TuneSearcher(space="nasnet", strategy="random", metric=metric)


def trial(search: TuneSearcher, name: str, *reports: dict[str, object]) -> None:
    """A whole trial, as Tune tells a searcher of it: the last report comes twice."""
    assert isinstance(search.suggest(name), dict)
    for report in reports:
        search.on_trial_result(name, report)
    search.on_trial_complete(name, reports[-1] if reports else {})


def result_of(*reports: dict[str, Any], metric: str = "accuracy"):
    """The end of a child whose trial reported this. A sound trial after it must be scored."""
    search = searcher(metric)
    trial(search, "a", *reports)
    trial(search, "b", {metric: 0.25, "training_iteration": 1})
    assert (search.failure, search.run.records[1].reward) == (None, 0.25)
    return search.run.records[0].result


def test_s2_a_trial_that_reports_nan_is_a_failed_child_and_the_others_go_on(caplog):
    search = searcher()
    trial(search, "a", {"accuracy": NAN, "training_iteration": 1})
    trial(search, "b", {"accuracy": 0.5, "training_iteration": 1})
    trial(search, "c", {"accuracy": INF, "training_iteration": 1})
    assert [record.result.status for record in search.run.records.values()] == [
        "failed", "completed", "failed",
    ]  # fmt: skip
    assert search.run.records[0].result.reason == (
        "it reported accuracy = nan. The accuracy must be a number from 0 to 1."
    )
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "Trial a (child 0) counts as failed: it reported accuracy = nan" in warnings[0].getMessage()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (NAN, "= nan. The accuracy must be a number from 0 to 1"),
        (-INF, "= -inf. The accuracy must be"),
        (-0.25, "= -0.25. The accuracy must be"),
        (1.0000001, "= 1.0000001. The accuracy must be"),
        (1e9, r"= 1000000000.0. The accuracy must be"),
        (10**400, "= 1000000"),
        (93.5, "= 93.5, which looks like a percentage. .* a fraction from 0 to 1: report 0.935"),
        (torch.tensor(93.5), r"= tensor\(93.5000\), which looks like a percentage. .*: report 0.935"),
        ("0.5", "= '0.5'. The accuracy must be a number"),
        ("high", "= 'high'"),
        (b"0.5", "= b'0.5'"),
        (True, "= True"),
        (np.bool_(True), "True"),
        ([0.5, 0.6], r"= \[0.5, 0.6\]"),
        (np.array([0.5, 0.6]), r"= array\(\[0.5, 0.6\]\)"),
        (torch.tensor([0.5, 0.6]), r"= tensor\(\[0.5000, 0.6000\]\)"),
        (torch.tensor(NAN), r"= tensor\(nan\)"),
        (np.float32(NAN), "nan"),
        (0.5 + 0j, r"= \(0.5\+0j\)"),
        ("x" * 10_000, r"= 'xxx.*\.\.\.\. The"),
    ],
)
def test_s2_a_metric_that_is_no_fraction_is_the_reason_of_a_failed_child(value, message):
    ended = result_of({"accuracy": value, "training_iteration": 1})
    assert (ended.status, ended.accuracy) == ("failed", None)
    assert re.search(message, ended.reason)


@pytest.mark.parametrize(
    "value",
    [0.5, np.float32(0.5), np.float64(0.5), np.float16(0.5), np.array(0.5), np.array([0.5]),
     torch.tensor(0.5), torch.tensor([0.5], requires_grad=True), Decimal("0.5")],
)  # fmt: skip
def test_s2_a_scalar_of_any_library_is_a_score(value):
    ended = result_of({"accuracy": value, "training_iteration": 1})
    assert (ended.status, ended.accuracy) == ("completed", 0.5)
    assert type(ended.accuracy) is float


def test_s2_one_bad_report_among_good_ones_fails_its_child():
    reports = [{"accuracy": value, "training_iteration": i} for i, value in enumerate((0.4, NAN, 0.6), 1)]
    assert result_of(*reports).reason.startswith("it reported accuracy = nan")


def test_s2_a_trial_that_never_reports_the_metric_says_what_it_reported():
    ended = result_of({"loss": 0.5, "eval/acc": 0.9, "training_iteration": 1, "config/child": 0})
    assert ended.reason.startswith(
        "it ended without a report of 'accuracy'; the last one has loss, eval/acc. TuneSearcher(metric=...)"
    )
    assert result_of(metric="score").reason.startswith("it ended without a report of 'score'. ")
    assert result_of({"accuracy": None, "training_iteration": 1}).status == "failed"


def test_s2_reports_without_the_metric_between_others_do_no_harm():
    ended = result_of({"accuracy": 0.5, "training_iteration": 1}, {"loss": 0.1, "training_iteration": 2})
    assert (ended.status, ended.accuracy) == ("completed", 0.5)


@pytest.mark.parametrize(
    "epoch", [0, -1, 1.5, NAN, INF, "two", None, [], 10**400, np.nan, torch.tensor([1, 2])]
)
def test_s2_an_epoch_that_can_not_be_used_is_counted(epoch):
    reports = [{"accuracy": i / 10, "epoch": epoch, "training_iteration": i} for i in (1, 2, 3)]
    assert [point.epoch for point in result_of(*reports).curve] == [1, 2, 3]


def test_s2_epochs_of_any_kind_leave_the_last_report_as_the_score():
    for epochs in ([0, 1, 2], [1, 1, 1], [3, 2, 1], [np.int64(0), torch.tensor(1), 2.0]):
        with_tune = [
            {"accuracy": (i + 1) / 10, "epoch": epoch, "training_iteration": i + 1}
            for i, epoch in enumerate(epochs)
        ]
        without = [{"accuracy": report["accuracy"], "epoch": report["epoch"]} for report in with_tune]
        assert result_of(*with_tune).accuracy == 0.3
        assert len(result_of(*with_tune).curve) == 3
        assert result_of(*without).accuracy == 0.3
    own = result_of(*({"accuracy": 0.5, "epoch": epoch, "training_iteration": 1} for epoch in (5,)))
    assert [point.epoch for point in own.curve] == [5]


@pytest.mark.parametrize("field", ["train_loss", "seconds", "time_total_s", "epoch", "training_iteration"])
@pytest.mark.parametrize("value", [NAN, -1, "?", None, {}, 1e300, np.float32(INF), torch.tensor(2.0)])
def test_s2_no_other_field_of_a_report_fails_a_child(field, value):
    ended = result_of({"accuracy": 0.5, field: value})
    assert (ended.status, ended.accuracy) == ("completed", 0.5)


def test_s2_what_goes_wrong_when_a_trial_ends_is_raised_at_the_next_suggestion():
    search = searcher()
    search.run.state.reward = Formula(lambda accuracy: 1 / 0)
    trial(search, "a", {"accuracy": 0.5, "training_iteration": 1})
    with pytest.raises(UsageError, match=r"builders:Formula\._score raised ZeroDivisionError"):
        search.suggest("b")


def test_s2_a_restored_searcher_takes_the_reports_of_the_trials_that_run(tmp_path):
    first, second = searcher(), searcher()
    first.suggest("a"), first.suggest("b")
    first.save(str(tmp_path / "state.json"))
    second.restore(str(tmp_path / "state.json"))
    second.on_trial_complete("a", {"accuracy": NAN, "training_iteration": 7})
    second.on_trial_complete("b", {"accuracy": 0.5, "training_iteration": 7})
    assert [record.result.status for record in second.run.records.values()] == ["failed", "completed"]
