"""The leaderboard that a run would have under another reward. Nothing is trained or written. Pure Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from raynas.config import merged
from raynas.errors import InvalidConfig
from raynas.run.events import Event, Finished, Proposed
from raynas.run.leaderboard import LeaderboardEntry, final_front, leaderboard
from raynas.run.recorded import RecordedRun
from raynas.run.records import outcome_of, records_of
from raynas.strategies.rewards.pareto import Pareto
from raynas.strategies.rewards.reward import Outcome, Reward, make_reward


@dataclass(frozen=True)
class Rescored:
    """A run's children under a reward."""

    entries: list[LeaderboardEntry]
    """The leaderboard, best first. The `reason` of a child with an accuracy and no reward says why it has
    none.
    """
    unscored: dict[str, list[int]]
    """Ids of the children with an accuracy and no reward, by the reason."""
    num_infeasible: int
    hypervolume: float | None
    """Share of the unit square below the front, in [0, 1]. None means that the reward keeps no front."""


def rescore(run: RecordedRun, reward: Reward) -> Rescored:
    """The leaderboard of a run under `reward`, which must not have observed anything yet."""
    trade = reward.config if isinstance(reward, Pareto) else None
    records = records_of(rescored_events(run.events, reward)).values()
    unscored: defaultdict[str, list[int]] = defaultdict(list)
    for record in records:
        if record.outcome is not None and record.outcome.accuracy is not None and record.reward is None:
            unscored[_why_not(record.outcome, reward)].append(record.id)
    reasons = {child: why for why, children in unscored.items() for child in children}
    return Rescored(
        entries=[
            entry.model_copy(update={"reason": reasons.get(entry.child, entry.reason)})
            for entry in leaderboard(records, trade=trade)
        ],
        unscored=dict(unscored),
        num_infeasible=sum(record.is_infeasible for record in records),
        hypervolume=final_front(records, trade).hypervolume() if trade is not None else None,
    )


def rescored_events(events: Iterable[Event], reward: Reward) -> list[Event]:
    """The events of a run with this reward whose strategy had proposed the same children.

    Args:
        reward: A new one, which has observed nothing yet.
    """
    proposed: dict[int, Proposed] = {}
    found: list[Event] = []
    for event in events:
        if isinstance(event, Proposed):
            proposed[event.child] = event
        elif isinstance(event, Finished) and event.child in proposed:
            outcome = outcome_of(proposed[event.child], event.result)
            event = event.model_copy(update={"reward": reward(outcome)})
            if event.result.status != "infeasible":
                reward.observe(outcome)
        found.append(event)
    return found


def chosen_reward(run: RecordedRun, name: str | None, settings: Mapping[str, Any]) -> Reward:
    """The reward that a user asks for.

    Args:
        name: A registered name, or 'package.module:ClassName'. Defaults to the reward of the run.
        settings: Nested settings, of which only `reward` may be given. If the reward is the run's, they are
            laid over the run's own options.

    Raises:
        UsageError: there is no such reward, or it doesn't have such an option.
    """
    other = sorted(set(settings) - {"reward"})
    if other:
        raise InvalidConfig(
            f"{other[0]} can't be set here: nothing is trained. Set reward.*, such as reward.parameters=1e6."
        )
    asked = settings.get("reward", {})
    if not isinstance(asked, Mapping):
        raise InvalidConfig(f"reward = {asked!r}: give its options as reward.*, and its name as --reward.")
    recorded = run.config.get("reward", {})
    recorded = dict(recorded) if isinstance(recorded, Mapping) else {}
    options = dict(asked)
    asked_name = str(options.pop("name", None) or recorded.get("name", "accuracy")) if name is None else name
    if asked_name == recorded.get("name"):
        options = merged({key: value for key, value in recorded.items() if key != "name"}, options)
    return make_reward(asked_name, **options)


def _why_not(outcome: Outcome, reward: Reward) -> str:
    missing = reward.missing(outcome)
    if not missing:
        return "its reward is no finite number"
    return " and ".join(
        "its latency was not measured" if cost == "latency_ms" else f"its {cost} are not in the journal"
        for cost in missing
    )
