"""Finds the state dict of a network in what people save: checkpoints, averages, wrapped modules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from raynas.errors import WeightsError

PLAIN_NAMES = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "net_state_dict",
    "weights",
    "params",
)
"""Names under which a network is saved, or wrapped in another module; the first ones come first."""
_AVERAGE = re.compile(r"(^|_)(ema|average|averaged|swa|shadow)(_|$)")
"""Names under which a moving average of the weights is saved."""
_TRANSPARENT = re.compile(
    r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\."
)
"""Parts of a name that torch.compile and others put in, anywhere."""
_FIRST_LAYER = re.compile(r"((?:[^.]+\.)*?)(?:stem\.0\.|cell_stem_0\.)")
"""A name of a network's first part, raynas's or timm's, and what stands before it."""
_NO_WEIGHT = re.compile(r"(^|\.)(n_averaged|total_ops|total_params)$")
"""Counters that torch's AveragedModel and the profiler thop leave among the weights."""
_NO_NETWORK = re.compile(r"optim|sched|scaler|rng|callback|loop")
MAX_DEPTH = 4
"""Levels of dicts in dicts that are looked into."""


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A state dict with the network's own names.

    Attributes:
        notes: what was chosen and what was left out, each a phrase.
    """

    state: dict[str, Tensor]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A state dict found in a checkpoint, or a part of one whose names begin alike."""

    path: tuple[str, ...]
    """Keys that lead to it, and the modules in which it is wrapped."""
    state: dict[str, Tensor]
    is_network: bool
    """Whether it has a network's first layer."""
    others: tuple[str, ...] = ()
    """Names beside it that don't begin like it."""

    @property
    def is_average(self) -> bool:
        return any(_AVERAGE.search(part.lower()) for part in self.path)

    @property
    def rank(self) -> tuple[int, ...]:
        """Lower is preferred; two with the same rank can't be told apart."""
        if self.is_average:
            return (0,)
        if all(part in PLAIN_NAMES for part in self.path):
            return (1, *(PLAIN_NAMES.index(part) for part in self.path))
        return (2,)


def unwrapped(value: Any, where: str) -> Unwrapped:
    """The network's tensors in `value`, which is a state dict or holds one, wrapped in whatever way.

    A moving average of the weights is preferred, as timm does. What it lacks, such as running statistics, is
    taken from the weights beside it.

    Args:
        where: where `value` is from, for messages.
    Raises:
        WeightsError: it holds no state dict, or several between which the names don't decide.
    """
    found = list(_candidates(value, ()))
    candidates = [each for each in found if each.is_network] or found
    if not candidates:
        raise WeightsError(
            f"{where} holds no state dict: it must map names to tensors, or have such a dict under a name "
            f"like {', '.join(PLAIN_NAMES[:4])} or ema."
        )
    first, *rest = sorted(candidates, key=lambda each: each.rank)
    if rest and rest[0].rank == first.rank:
        names = ", ".join(repr(".".join(each.path)) for each in candidates)
        raise WeightsError(f"{where} holds several networks: {names}. Save the one that is meant alone.")
    if first.is_average:
        return _completed(first, rest)
    unused = [
        f"the moving average {'.'.join(each.path)} has other names and is not used"
        for each in found
        if each.is_average
    ]
    return Unwrapped(first.state, (*_left_out(first), *unused))


def _candidates(value: Any, path: tuple[str, ...]) -> Iterator[_Candidate]:
    if not isinstance(value, Mapping) or len(path) > MAX_DEPTH or "param_groups" in value:
        return
    nested = {
        str(key): below
        for key, below in value.items()
        if isinstance(below, Mapping) and not _NO_NETWORK.search(str(key).lower())
    }
    found = [each for key, below in nested.items() for each in _candidates(below, (*path, key))]
    yield from found
    tensors = {
        _TRANSPARENT.sub("", key): tensor
        for key, tensor in value.items()
        if isinstance(key, str) and isinstance(tensor, Tensor) and not _NO_WEIGHT.search(key)
    }
    prefixes = sorted({match[1] for key in tensors if (match := _FIRST_LAYER.match(key))})
    for prefix in prefixes:
        yield _with_prefix(tensors, prefix, path, is_network=True)
    if tensors and not prefixes and not found:
        yield _with_prefix(tensors, _common_prefix(tensors), path, is_network=False)


def _with_prefix(
    tensors: Mapping[str, Tensor], prefix: str, path: tuple[str, ...], *, is_network: bool
) -> _Candidate:
    state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    others = tuple(key for key in tensors if not key.startswith(prefix))
    return _Candidate((*path, *prefix.split(".")[:-1]), state, is_network, others)


def _common_prefix(tensors: Mapping[str, Tensor]) -> str:
    """The known wrappers with which every name begins; for tensors of another network than raynas's."""
    prefix = ""
    while True:
        first = next(iter(tensors)).removeprefix(prefix).partition(".")[0]
        longer = f"{prefix}{first}."
        if first not in PLAIN_NAMES or not all(key.startswith(longer) for key in tensors):
            return prefix
        prefix = longer


def _completed(average: _Candidate, others: list[_Candidate]) -> Unwrapped:
    """The average, and what it lacks of the weights beside it."""
    notes = [f"the moving average of the weights ({'.'.join(average.path)})"]
    plain = next((each for each in others if not each.is_average), None)
    lacking = {} if plain is None else {k: v for k, v in plain.state.items() if k not in average.state}
    if plain is not None and lacking:
        notes.append(
            f"{len(lacking)} tensors that the average lacks are from {'.'.join(plain.path) or 'beside it'}"
        )
    return Unwrapped(average.state | lacking, tuple(notes))


def _left_out(candidate: _Candidate) -> tuple[str, ...]:
    count = len(candidate.others)
    if not count:
        return ()
    return (f"{count} tensors outside {'.'.join(candidate.path)} left out, such as {candidate.others[0]}",)
