"""The series that a run's report draws. Pure Python.

The `info` of a proposal is whatever its strategy wrote there. What has another form than is expected here
counts as not known.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from raynas.cells.space import Decision
from raynas.run.events import Finished, Resumed, Started
from raynas.run.recorded import RecordedRun
from raynas.run.records import ChildRecord

MAX_VERSION = 2**31
MAX_DRAWN = 1e100
"""Largest number that is drawn: a journal changed by hand may hold any, and means and axes overflow."""


@dataclass(frozen=True, slots=True)
class EndedChild:
    """A child, and for how many hours drivers had been at work when it ended, without pauses."""

    record: ChildRecord
    hours: float

    @property
    def accuracy(self) -> float | None:
        outcome = self.record.outcome
        return outcome.accuracy if outcome is not None else None

    @property
    def reward(self) -> float | None:
        return drawable(self.record.reward)


@dataclass
class PolicyVersion:
    """What is known of one state of the policy, by the children that it drew."""

    version: int
    rewards: list[float] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    """Natural logarithms of the probabilities of whole architectures."""


def ended_children(run: RecordedRun) -> list[EndedChild]:
    """The children that have ended, in the order in which they did, without infeasible ones."""
    shifts, records = iter(run.shifts), run.records
    found: list[EndedChild] = []
    seconds_before, shift = 0.0, None
    for event in run.events:
        if isinstance(event, Started | Resumed):
            seconds_before += shift.seconds if shift is not None else 0.0
            shift = next(shifts)
        elif isinstance(event, Finished) and event.child in records and event.result.status != "infeasible":
            assert shift is not None
            seconds = seconds_before + min(max(event.time - shift.began, 0.0), shift.seconds)
            found.append(EndedChild(records[event.child], seconds / 3600.0))
    return found


def drawable(value: float | None) -> float | None:
    """`value` if it is a number that a chart can hold."""
    return value if value is not None and abs(value) < MAX_DRAWN else None


def best_so_far(values: Iterable[float | None]) -> list[float | None]:
    """The largest value up to each place; None before the first."""
    best: float | None = None
    found = []
    for value in values:
        if value is not None and (best is None or value > best):
            best = value
        found.append(best)
    return found


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """The mean of the last `window` values at each place, of fewer at the beginning."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    return [(sums[end] - sums[max(end - window, 0)]) / min(end, window) for end in range(1, len(sums))]


def num_different(records: Iterable[ChildRecord]) -> int:
    """How many architectures there are among these children."""
    return len({record.proposed.arch_id for record in records})


def policy_version(record: ChildRecord) -> int | None:
    version = record.proposed.info.get("policy_version")
    # A boolean is an int to Python.
    if type(version) is not int or not 0 <= version < MAX_VERSION:
        return None
    return version


def log_prob(record: ChildRecord) -> float | None:
    """Log-probability of the whole architecture under the policy that drew it."""
    parts = record.proposed.info.get("log_probs")
    if not isinstance(parts, list) or not parts:
        return None
    if not all(isinstance(part, int | float) and drawable(part) is not None for part in parts):
        return None
    return math.fsum(parts)


def by_policy_version(records: Iterable[ChildRecord]) -> list[PolicyVersion]:
    """The versions in order; empty if the strategy records none."""
    versions: dict[int, PolicyVersion] = {}
    for record in records:
        version = policy_version(record)
        if version is None:
            continue
        known = versions.setdefault(version, PolicyVersion(version))
        reward = drawable(record.reward)
        if reward is not None:
            known.rewards.append(reward)
        drawn = log_prob(record)
        if drawn is not None:
            known.log_probs.append(drawn)
    return [versions[version] for version in sorted(versions)]


def parts_of(count: int, most: int) -> list[range]:
    """range(count) cut into at most `most` parts of nearly equal length, none of them empty."""
    num_parts = max(min(most, count), 1)
    edges = [index * count // num_parts for index in range(num_parts + 1)]
    return [range(low, high) for low, high in itertools.pairwise(edges)]


def operation_shares(
    actions: Sequence[Sequence[int]], decisions: Sequence[Decision], parts: Sequence[range]
) -> dict[str, list[float]]:
    """The share of each operation among all that were chosen, in each part of the proposals.

    Args:
        actions: Actions of the proposals, in order. Those that don't fit the decisions are left out.
    """
    places = [(index, decision) for index, decision in enumerate(decisions) if decision.kind == "op"]
    names = sorted({str(choice) for _, decision in places for choice in decision.choices})
    shares: defaultdict[str, list[float]] = defaultdict(list)
    for part in parts:
        counts = Counter(
            str(decision.choices[chosen[index]])
            for chosen in (actions[number] for number in part)
            if _fits(chosen, decisions)
            for index, decision in places
        )
        for name in names:
            shares[name].append(counts[name] / counts.total() if counts else 0.0)
    return dict(shares)


def uniform_entropy(decisions: Iterable[Decision]) -> float:
    """Entropy of a policy that chooses with equal probabilities, in nats."""
    return math.fsum(math.log(len(decision.choices)) for decision in decisions)


def _fits(actions: Sequence[int], decisions: Sequence[Decision]) -> bool:
    return len(actions) == len(decisions) and all(
        0 <= action < len(decision.choices) for action, decision in zip(actions, decisions, strict=True)
    )
