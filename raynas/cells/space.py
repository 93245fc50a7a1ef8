"""The base class of search spaces, which every file in search_spaces/ implements. Pure Python."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from raynas.cells.genotype import Genotype
from raynas.config import FrozenModel
from raynas.registry import Registry

Actions = tuple[int, ...]
"""One index per decision."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One categorical choice. An action is an index into `choices`."""

    name: str
    kind: Literal["input", "op", "combiner"]
    choices: tuple[int | str, ...]


class SearchSpace(FrozenModel):
    """A set of architectures, described by a fixed sequence of categorical decisions.

    A subclass is a frozen config. Its fields are the options that a user may set, such as
    space.num_blocks = 3. `decode` and `encode` are inverse to each other on every valid tuple of actions.
    """

    network: ClassVar[Mapping[str, Any]] = {}
    """Fields of NetworkConfig in which this space's networks differ from NASNet's. Recipes and users can
    override them.
    """

    @property
    @abstractmethod
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions, in the order in which a controller makes them."""

    @abstractmethod
    def decode(self, actions: Sequence[int]) -> Genotype:
        """The architecture that `actions`, one index per decision, describe."""

    @abstractmethod
    def encode(self, genotype: Genotype) -> Actions:
        """The actions that decode to `genotype`; ValueError if it isn't in this space."""

    def to_text(self, genotype: Genotype) -> str:
        """The name of `genotype` in a table of this space's architectures; one name is one row.

        By default it is the JSON of the canonical form. A space whose authors named their architectures
        returns those names.
        """
        return genotype.canonical().to_json()

    def from_text(self, text: str) -> Genotype:
        """The architecture called `text` in such a table; InvalidGenotype says what is wrong with it."""
        return Genotype.from_json(text)

    @property
    def size(self) -> int:
        """Number of tuples of actions; a graph counts as often as it can be written."""
        return math.prod(len(decision.choices) for decision in self.decisions)

    def check(self, actions: Sequence[int]) -> None:
        """ValueError unless `actions` has one action in range for each decision."""
        if len(actions) != len(self.decisions):
            raise ValueError(f"{len(actions)} actions for {len(self.decisions)} decisions")
        for decision, action in zip(self.decisions, actions, strict=True):
            # Without the lower bound a negative action would count from the end of `choices`, and two tuples
            # of actions would mean the same architecture.
            if not 0 <= action < len(decision.choices):
                raise ValueError(f"{decision.name}: action {action} is not in 0..{len(decision.choices) - 1}")


SPACES: Registry[SearchSpace] = Registry(
    # A space is its own config: its fields are its options.
    "search space",
    SearchSpace,
    "search_spaces",
    section="space",
    config_of=lambda space: space,
)
register_space = SPACES.register


def make_space(name: str, **options: Any) -> SearchSpace:
    """The search space called `name`, with these options.

    Args:
        name: a registered name, or 'package.module:ClassName' for a class of your own.
        options: fields of the space.
    """
    _, space = SPACES.configured(name, options)
    assert isinstance(space, SearchSpace)
    return space
