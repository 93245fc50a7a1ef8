"""What the events of a run add up to: its children, and what strategy and reward have learned from them.

Strategy and reward see nothing but events, in the journal's order. So a driver that replays the journal of a
killed one has the same state as that had, to the bit, and goes on as it would have.
"""

from __future__ import annotations

import time

from raynas.cells.genotype import Genotype
from raynas.cells.space import Actions, SearchSpace
from raynas.child import Sized
from raynas.errors import RunFolderError
from raynas.registry import OwnClassError, naming_own_class
from raynas.run.events import Finished, Proposed
from raynas.run.records import ChildRecord, outcome_of
from raynas.strategies.rewards.reward import Outcome, Reward
from raynas.strategies.strategy import Proposal, Strategy

ChildEvent = Proposed | Finished
"""The events that change the state; the others of a journal tell of drivers and workers."""


class RunState:
    """A run after the events so far.

    Live, an event is first written to the journal and then applied: `apply`. In a replay it comes from the
    journal: `replay`, which checks it and then applies it in the same way.
    """

    def __init__(self, space: SearchSpace, strategy: Strategy, reward: Reward) -> None:
        self.space = space
        self.strategy = strategy
        self.reward = reward
        self.events: list[ChildEvent] = []
        self.records: dict[int, ChildRecord] = {}
        self.scored: dict[str, int] = {}
        """The first child of each architecture that has a score of a whole training, by arch_id."""
        self.num_finished = 0
        """Number of children that have ended, without the infeasible ones."""
        self.num_infeasible = 0

    def apply(self, event: ChildEvent) -> dict[str, float] | None:
        """Takes in an event that happened in this process.

        Returns:
            Statistics of the strategy's update that the event completed, or None if it completed none.
        """
        self.events.append(event)
        if isinstance(event, Proposed):
            # The strategy is not told: `propose` has made it adopt the proposal, and a second time would not
            # be harmless (LocalSearch may take a step whenever it adopts).
            self.records[event.child] = ChildRecord(event)
            return None
        return self._apply_finished(event)

    def propose(self) -> tuple[Proposal, Genotype]:
        """The strategy's next proposal, and what it means in the space."""
        with naming_own_class("propose", self.strategy, self.space):
            proposal = self.strategy.propose()
            self.space.check(proposal.actions)
        return proposal, self.decode(proposal.actions)

    def decode(self, actions: Actions) -> Genotype:
        """The architecture that `actions` describe; ValueError if they are not of this space."""
        self.space.check(actions)
        with naming_own_class("decode", self.space):
            genotype = self.space.decode(actions)
            if not isinstance(genotype, Genotype):
                raise TypeError(f"it must return a Genotype, not {genotype!r:.80}")
            return genotype

    def score(self, outcome: Outcome) -> float | None:
        """The reward of a child that has ended."""
        with naming_own_class("__call__", self.reward):
            return self.reward(outcome)

    def replay(self, event: ChildEvent) -> dict[str, float] | None:
        """Takes in an event of an earlier process; returns what `apply` does.

        Raises:
            RunFolderError: it contradicts the space or an earlier event, or can't be learned from.
        """
        if isinstance(event, Proposed):
            self._check_proposed(event)
            with naming_own_class("adopt", self.strategy, self.space):
                self.strategy.adopt(proposal_of(event))
            return self.apply(event)
        self._check_finished(event)
        try:
            return self.apply(event)
        except OwnClassError:
            raise
        except (KeyError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            # `info` of a proposal is whatever a strategy wrote there, and no schema of ours checks it.
            raise RunFolderError(
                f"the journal's child {event.child} can't be learned from: {error!r}. "
                "The journal was changed by hand, or is from another version of raynas."
            ) from error

    def _apply_finished(self, event: Finished) -> dict[str, float] | None:
        proposed = self.records[event.child].proposed
        self.records[event.child] = ChildRecord(proposed, event)
        if event.result.status == "infeasible":
            self.num_infeasible += 1
        else:
            self.num_finished += 1
            with naming_own_class("observe", self.reward):
                self.reward.observe(outcome_of(proposed, event.result))
        # A stopped child has a score of fewer epochs, which doesn't stand for a whole training.
        if event.result.status == "completed":
            self.scored.setdefault(proposed.arch_id, event.child)
        with naming_own_class("observe", self.strategy, self.space):
            return self.strategy.observe(proposal_of(proposed), event.reward)

    def _check_proposed(self, event: Proposed) -> None:
        try:
            genotype = self.decode(event.actions)
        except OwnClassError:
            raise
        except ValueError as error:
            raise RunFolderError(
                f"the journal's child {event.child} is not from this space: {error}."
            ) from error
        # The arch_id is written down beside the actions, so that a space whose decisions have changed is
        # noticed.
        if genotype.arch_id != event.arch_id or event.child in self.records:
            raise RunFolderError(
                f"the journal's child {event.child} is there twice, or its actions don't describe "
                f"its arch_id {event.arch_id}."
            )

    def _check_finished(self, event: Finished) -> None:
        record = self.records.get(event.child)
        if record is None or record.finished is not None:
            raise RunFolderError(f"the journal finishes child {event.child} twice or before it is proposed.")
        if event.reused_from is None:
            return
        source = self.records.get(event.reused_from)
        if source is None or source.proposed.arch_id != record.proposed.arch_id:
            raise RunFolderError(
                f"the journal's child {event.child} has the score of child {event.reused_from}, which is "
                "not there or has another architecture."
            )


def proposed_event(proposal: Proposal, arch_id: str, size: Sized | None) -> Proposed:
    """A proposal as the journal has it; `size` is that of its network, if it is known."""
    return Proposed(
        child=proposal.id,
        time=time.time(),
        actions=proposal.actions,
        arch_id=arch_id,
        parameters=size.parameters if size else None,
        mult_adds=size.mult_adds if size else None,
        activations=size.activations if size else None,
        info=dict(proposal.info),
    )


def proposal_of(event: Proposed) -> Proposal:
    """The proposal as its strategy made it."""
    return Proposal(event.child, event.actions, event.info)
