"""A strategy that takes part in a benchmark, with its options and a label. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raynas.cells.space import SearchSpace, make_space
from raynas.errors import UnknownName, UsageError
from raynas.strategies.strategy import STRATEGIES, Strategy

SPACE_KEY = "space"
"""Key of --set that addresses the search space; every other key is the label of a strategy."""


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


def contenders_of(strategies: Sequence[str], settings: Mapping[str, Any]) -> list[Contender]:
    """The strategies, each with the settings under its label.

    Raises:
        UsageError: a strategy, a label or an option does not exist.
    """
    contenders = [parse_contender(text.strip(), settings) for text in strategies]
    labels = [contender.label for contender in contenders]
    for key in settings:
        if key not in [*labels, SPACE_KEY]:
            hint = "--set takes STRATEGY.OPTION=VALUE, or space.OPTION=VALUE."
            raise UnknownName("strategy in this benchmark", key, labels, hint)
    # Wrong options are reported now, rather than after the table has been read.
    for contender in contenders:
        contender.resolved_options()
    return contenders


def space_of(name: str, settings: Mapping[str, Any]) -> SearchSpace:
    """The search space of a table, with its options in `settings`.

    Raises:
        UsageError: the space, or one of its options, is unknown.
    """
    options = settings.get(SPACE_KEY, {})
    if not isinstance(options, Mapping):
        raise UsageError(
            f"--set space={options!r} names no option; write space.OPTION=VALUE, or --space NAME."
        )
    return make_space(name, **options)
