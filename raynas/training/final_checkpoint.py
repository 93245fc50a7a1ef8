"""Checks that a training checkpoint is one, and that it belongs to the training that loads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from raynas.errors import RunFolderError, WeightsError

_PLACE = ("epoch", "step", "position")
_ZERO = torch.zeros(())


def checked_state(state: Any) -> Mapping[str, Any]:
    """Returns `state`, which was read from disk, if it has the form of `FinalTraining.state_dict`.

    Raises:
        WeightsError: it does not.
    """
    parts = state if isinstance(state, Mapping) else {}
    place, average = parts.get("place"), parts.get("average")
    is_sound = (
        # `and` and `or` stop at the first part that is wrong, so the later ones may rely on the earlier.
        _are_tensors(parts.get("network"))
        and isinstance(parts.get("optimizer"), Mapping)
        and (average is None or (_are_tensors(average) and average.get("n_averaged", _ZERO).ge(0).all()))
        and isinstance(place, Mapping)
        # `type`, because a bool is an int; below 2^63, because tensors and data loaders take no larger ones.
        and all(type(place.get(key)) is int and 0 <= place[key] < 2**63 for key in _PLACE)
    )
    if not is_sound:
        raise WeightsError("it holds no state of a final training")
    return parts


def _are_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(tensor, Tensor) for tensor in value.values())


def check_state(own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Compares two state dicts of FinalTraining: names and shapes of the network's tensors, and the average.

    Args:
        own: state of the training that loads the checkpoint.
        state: state in the checkpoint.
    Raises:
        RunFolderError: they differ; names the first differences.
    """
    problems = list(_problems(own, state))
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise RunFolderError(
            f"The checkpoint is of another training: {'; '.join(problems[:3])}{more}. A training resumes "
            "only with the cell, network, optimiser and average that it was started with: put its own "
            "checkpoints and training.json back, or start a new training in another folder."
        )


def _problems(own: Mapping[str, Any], state: Mapping[str, Any]) -> Iterator[str]:
    # With other parts than these, the comparisons below would find none of what they look for.
    if own.keys() != state.keys():
        yield f"it holds {', '.join(sorted(state))} instead of {', '.join(sorted(own))}"
        return
    yield from _tensor_problems(own["network"], state["network"])
    if (own["average"] is None) != (state["average"] is None):
        yield f"it has {'no' if state['average'] is None else 'an'} average of the weights"


def _tensor_problems(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[str]:
    yield from (f"{key} is missing" for key in own if key not in state)
    yield from (f"{key} is not in this network" for key in state if key not in own)
    for key in own:
        if key in state and state[key].shape != own[key].shape:
            yield f"{key} is {tuple(state[key].shape)}, here {tuple(own[key].shape)}"
