"""Brings the classes of a data set and those of a network together, by their names."""

from __future__ import annotations

from collections.abc import Sequence

from raynas.errors import DataError

_SHOWN = 5


def class_order(
    own: Sequence[str] | None, num_own: int, given: Sequence[str] | None, num_given: int, *, data: str
) -> tuple[int, ...]:
    """For each class of the data, in their order, its place among the classes of the network.

    Args:
        own: names of the network's classes, if they are known.
        given: names of the data's classes, if they are known.
        data: what messages call the data.
    Raises:
        DataError: they are not the same classes.
    """
    if not num_own:
        raise DataError("The network has no classifier: it returns features. Evaluate one that has classes.")
    if own is None or given is None:
        return _by_number(own, num_own, given, num_given, data)
    if tuple(own) == tuple(given):
        return tuple(range(num_own))
    missing, unknown = sorted(set(own) - set(given)), sorted(set(given) - set(own))
    if missing or unknown:
        raise DataError(
            f"The classes of {data} are not those of the network ({len(given):,} and {len(own):,}): "
            f"{_listed('only in the data', unknown)}; {_listed('only in the network', missing)}. "
            "Give data with the network's classes, by their names."
        )
    if len(set(own)) < len(own) or len(set(given)) < len(given):
        raise DataError(
            f"The classes of {data} have the names of the network's in another order, and some names come "
            "twice, so that they can't be told apart. Give each class a name of its own."
        )
    places = {name: place for place, name in enumerate(own)}
    return tuple(places[name] for name in given)


def _by_number(
    own: Sequence[str] | None, num_own: int, given: Sequence[str] | None, num_given: int, data: str
) -> tuple[int, ...]:
    # Without names, the number of classes is the largest label plus one: of few images, it may be lower.
    is_counted = given is None
    if num_given == num_own or (is_counted and num_given < num_own):
        return tuple(range(num_given))
    nameless = "The data has no names of classes" if is_counted else "The network has no names of classes"
    raise DataError(
        f"{data} has {num_given:,} classes and the network {num_own:,}. {nameless}, so they can only be "
        "matched by number. Give data with the network's classes."
    )


def _listed(where: str, names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN]) or "none"
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{where}: {shown}{more}"
