"""What may be chosen: the SearchSpace that every file in search_spaces/ implements. Pure Python."""

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


@dataclass(frozen=True, slots=True)
class Decision:
    """One categorical choice; an action is an index into `choices`."""

    name: str
    kind: Literal["input", "op", "combiner"]
    choices: tuple[int | str, ...]


class SearchSpace(FrozenModel):
    """A set of architectures, written as a fixed sequence of categorical decisions.

    A subclass is a frozen config: its fields are the options that a user may set (`--set
    space.num_blocks=3`). `decode` and `encode` are inverse to each other on every valid tuple of actions.
    """

    network: ClassVar[Mapping[str, Any]] = {}
    """Fields of NetworkConfig in which this space's networks differ from NASNet's; recipes and users may
    change them.
    """

    @property
    @abstractmethod
    def decisions(self) -> tuple[Decision, ...]:
        """The choices, in the order in which a controller makes them."""

    @abstractmethod
    def decode(self, actions: Sequence[int]) -> Genotype:
        """The architecture that `actions` (one index per decision) describe."""

    @abstractmethod
    def encode(self, genotype: Genotype) -> Actions:
        """The actions that decode to `genotype`; ValueError if it lies outside this space."""

    def to_text(self, genotype: Genotype) -> str:
        """What a table of this space's architectures calls `genotype`: equal texts name the same row.

        By default the JSON of the canonical form; a space whose authors have names of their own gives those.
        """
        return genotype.canonical().to_json()

    def from_text(self, text: str) -> Genotype:
        """The architecture that such a table calls `text`; InvalidGenotype names what is wrong with it."""
        return Genotype.from_json(text)

    @property
    def size(self) -> int:
        """How many tuples of actions there are; equal graphs are counted as often as they can be written."""
        return math.prod(len(decision.choices) for decision in self.decisions)

    def check(self, actions: Sequence[int]) -> None:
        """ValueError unless there is one action in range for each decision."""
        if len(actions) != len(self.decisions):
            raise ValueError(f"{len(actions)} actions for {len(self.decisions)} decisions")
        for decision, action in zip(self.decisions, actions, strict=True):
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
    """The space registered as `name`, or the class that 'package.module:ClassName' points at, with its
    options.
    """
    _, space = SPACES.configured(name, options)
    assert isinstance(space, SearchSpace)
    return space
