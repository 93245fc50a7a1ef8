"""How well each network of an automatic run did, and whether a baseline won. Pure Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

TITLES = {"winner": "found cell", "resnet18": "ResNet-18", "nasnet_a": "NASNet-A", "random": "random cell"}
"""What readers see, by the names of the folders."""
CLEAR = 2.0
"""Standard errors from which on a difference is not called chance."""


@dataclass(frozen=True, slots=True)
class Result:
    """A network that was trained to the end."""

    name: str
    top1: float
    """Accuracy on the validation images after the last epoch."""
    curve: tuple[float, ...]
    """top1 after each epoch."""
    parameters: int
    mult_adds: int
    seconds: float

    @property
    def title(self) -> str:
        return TITLES[self.name]


def standard_error(top1: float, num_images: int) -> float:
    """The standard error of an accuracy that was measured on `num_images` images.

    Two images more count as right and two as wrong, so that an accuracy of 0 or 1 isn't taken as certain.
    Source: Agresti & Coull 1998, "Approximate is better than exact for interval estimation of binomial
    proportions".
    """
    share = (top1 * num_images + 2) / (num_images + 4)
    return math.sqrt(share * (1 - share) / (num_images + 4))


def verdict(results: Sequence[Result], num_images: int) -> str:
    """Whether the found cell or a baseline won, in plain words.

    Args:
        results: the found cell first.
        num_images: validation images.
    """
    winner, *baselines = results
    if not baselines:
        return "No baseline was trained, so nothing says whether the search was worth it."
    best = max(baselines, key=lambda result: result.top1)
    difference = winner.top1 - best.top1
    error = math.hypot(standard_error(winner.top1, num_images), standard_error(best.top1, num_images))
    points = f"{abs(difference) * 100:.1f} points"
    if difference == 0:
        return f"The found cell and {best.title} are equally good, at {winner.top1:.1%}."
    if abs(difference) < CLEAR * error:
        who = "The found cell is ahead of" if difference > 0 else f"{_first(best.title)} won against"
        other = f"the best baseline, {best.title}," if difference > 0 else "the found cell"
        return (
            f"{who} {other} by {points}, which may be chance: the standard error of the difference is "
            f"{error * 100:.1f} points."
        )
    if difference > 0:
        return f"The found cell won: it is {points} better than the best baseline, {best.title}."
    return f"{_first(best.title)} won: it is {points} better than the found cell."


def _first(title: str) -> str:
    return title[0].upper() + title[1:]
