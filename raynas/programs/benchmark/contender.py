"""A strategy that takes part in a benchmark, with its options and a label. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raynas.cells.space import SearchSpace
from raynas.errors import UsageError
from raynas.strategies.strategy import STRATEGIES, Strategy


@dataclass(frozen=True, slots=True)
class Contender:
    """A strategy and its options."""

    strategy: str
    """A registered name, or 'package.module:ClassName'."""
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    """Name in the results; defaults to the name of the strategy or its class."""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.strategy.rpartition(":")[2])

    def resolved_options(self) -> dict[str, Any]:
        """All options of the strategy, defaults included.

        Raises:
            UsageError: the strategy is unknown, or an option is unknown or out of bounds.
        """
        _, config = STRATEGIES.configured(self.strategy, self.options, section=self.label)
        options: dict[str, Any] = config.model_dump(mode="json")
        return options

    def make(self, space: SearchSpace, *, seed: int) -> Strategy:
        cls, config = STRATEGIES.configured(self.strategy, self.options, section=self.label)
        return cls(space, config, seed=seed)


def parse_contender(text: str, options: Mapping[str, Mapping[str, Any]]) -> Contender:
    """Parses 'ppo', or 'LABEL=ppo', which allows one strategy to take part twice with different options.

    Args:
        options: options of all contenders, by label.
    """
    label, equals, strategy = text.rpartition("=")
    if equals and not label.isidentifier():
        raise UsageError(f"{text!r} is no strategy: the label before '=' may hold letters, digits and '_'.")
    contender = Contender(strategy, label=label)
    given = options.get(contender.label, {})
    if not isinstance(given, Mapping):
        raise UsageError(
            f"--set {contender.label}={given!r} sets no option; write {contender.label}.OPTION=VALUE."
        )
    return Contender(strategy, given, contender.label)
