"""What the strategy learned: rewards, entropy, early against late children, operations."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from raynas.programs.report.document import Figure, Paragraph, Section
from raynas.programs.report.run import charts
from raynas.programs.report.run.data import RunData
from raynas.programs.report.run.history import (
    PolicyVersion,
    by_policy_version,
    operation_shares,
    parts_of,
    uniform_entropy,
)

MIN_SCORED = 12
"""Number of children with an accuracy from which on early ones are compared with late ones."""
NUM_PARTS = 8
"""Number of parts of the run, in each of which the operations are counted."""
BEST_SHARE = 0.1
"""Fraction of the different cells with a score whose operations are compared with those of all."""
MIN_BEST = 5
"""Number of cells that are compared at least."""


def learning(run: RunData) -> Section:
    versions = by_policy_version(run.recorded.records.values())
    blocks = (
        *_rewards_by_version(versions),
        *_rewards_by_child(run),
        *_entropy(run, versions),
        *_early_and_late(run),
        *_operations(run),
    )
    return Section("What the strategy learned", blocks)


def _rewards_by_version(versions: Sequence[PolicyVersion]) -> Iterator[Figure]:
    if sum(bool(version.rewards) for version in versions) > 1:
        yield Figure(
            "reward-by-version",
            charts.reward_by_version(versions),
            "Reward of the children that each version of the policy drew: mean, and standard deviation "
            "between children. The last versions may have few children.",
        )


def _rewards_by_child(run: RunData) -> Iterator[Figure]:
    numbered = enumerate((child.reward for child in run.ended), start=1)
    rewards = [(number, reward) for number, reward in numbered if reward is not None]
    if len(rewards) > 1:
        window = max(min(len(rewards) // 4, 100), 2)
        moves = (
            " It is measured against the front so far, and falls as that grows." if run.recorded.trade else ""
        )
        yield Figure(
            "reward-by-child",
            charts.reward_by_child(rewards, window=window),
            f"Reward ({run.chosen('reward', 'accuracy')}) of each child, in the order in which they "
            f"ended, and the mean of the last {window}.{moves}",
        )


def _entropy(run: RunData, versions: Sequence[PolicyVersion]) -> Iterator[Figure | Paragraph]:
    known = [version for version in versions if version.log_probs]
    if run.recorded.records and not known:
        yield Paragraph("This strategy records no log-probabilities, so there is no entropy to be shown.")
    if len(known) > 1:
        uniform = uniform_entropy(run.space.decisions) if run.space is not None else None
        yield Figure(
            "entropy",
            charts.entropy_by_version(known, uniform=uniform),
            "Entropy of the policy over whole architectures, estimated without bias from what each version "
            "drew: the mean of minus the log-probability. The band is two standard errors.",
        )


def _early_and_late(run: RunData) -> Iterator[Figure]:
    accuracies = [child.accuracy for child in run.ended if child.accuracy is not None]
    if len(accuracies) < MIN_SCORED:
        return
    third = len(accuracies) // 3
    early, late = accuracies[:third], accuracies[-third:]
    yield Figure(
        "early-and-late",
        charts.early_and_late(early, late),
        "Accuracies of the first and of the last third of the children with a score; mean +- standard "
        f"deviation: early {_mean(early)}, late {_mean(late)}. Of a strategy that learns nothing they differ "
        "by chance alone.",
    )


def _operations(run: RunData) -> Iterator[Figure | Paragraph]:
    if run.space is None:
        yield Paragraph(
            f"The search space {run.chosen('space')} can't be made here, so operations and cells "
            "are not drawn. Make it importable, and report again."
        )
        return
    decisions = run.space.decisions
    actions = [record.proposed.actions for record in run.recorded.records.values()]
    parts = parts_of(len(actions), NUM_PARTS)
    shares = operation_shares(actions, decisions, parts) if actions else {}
    if not shares:
        return
    yield Figure(
        "operations",
        charts.operations_over_time(shares, [_range(part) for part in parts]),
        "Operations chosen over time: percent of all choices of an operation, in each part of the proposals "
        "(numbered from 0), the most frequent of the last part on top.",
    )
    best = _best_actions(run)
    if best:
        (of_best,) = zip(*operation_shares(best, decisions, [range(len(best))]).values(), strict=True)
        (of_all,) = zip(*operation_shares(actions, decisions, [range(len(actions))]).values(), strict=True)
        yield Figure(
            "operations-of-the-best",
            charts.operations_of_the_best(sorted(shares), of_best=of_best, of_all=of_all),
            f"Operations of the {len(best)} best different cells, against those of all proposals. With few "
            "cells a difference of some percent is chance.",
        )


def _best_actions(run: RunData) -> list[tuple[int, ...]]:
    """Actions of the best of the different cells; empty if there are too few cells."""
    different: dict[str, tuple[int, ...]] = {}
    for entry in run.recorded.entries:
        if entry.reward is not None:
            different.setdefault(entry.arch_id, run.recorded.records[entry.child].proposed.actions)
    if len(different) < 2 * MIN_BEST:
        return []
    return list(different.values())[: max(round(BEST_SHARE * len(different)), MIN_BEST)]


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.4f} +- {statistics.stdev(values):.4f}"


def _range(part: range) -> str:
    return f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0])
