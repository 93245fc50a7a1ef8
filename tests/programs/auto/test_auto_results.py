"""Whether the found cell or a baseline won, in plain words."""

from __future__ import annotations

import pytest

from raynas.programs.auto.results import Result, standard_error, verdict


def result(name: str, top1: float) -> Result:
    return Result(name, top1, (top1,), parameters=1, mult_adds=1, seconds=1.0)


@pytest.mark.parametrize(
    ("winner", "baseline", "words"),
    [
        (0.9, 0.7, "The found cell won: it is 20.0 points better than the best baseline, ResNet-18."),
        (0.7, 0.9, "ResNet-18 won: it is 20.0 points better than the found cell."),
        (
            0.71,
            0.70,
            "The found cell is ahead of the best baseline, ResNet-18, by 1.0 points, which may be chance",
        ),
        (0.70, 0.71, "ResNet-18 won against the found cell by 1.0 points, which may be chance"),
        (0.5, 0.5, "The found cell and ResNet-18 are equally good, at 50.0%."),
    ],
)
def test_the_verdict_is_plain(winner, baseline, words):
    found = [result("winner", winner), result("random", 0.1), result("resnet18", baseline)]
    assert verdict(found, 500).startswith(words)


def test_without_baselines_nothing_is_claimed():
    assert "nothing says" in verdict([result("winner", 0.9)], 500)


def test_few_images_prove_nothing():
    assert standard_error(0.0, 32) > 0.03
    assert standard_error(0.5, 10_000) == pytest.approx(0.005, abs=1e-4)
    assert "may be chance" in verdict([result("winner", 0.15), result("resnet18", 0.0)], 20)
