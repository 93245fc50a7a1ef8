"""Whether the state of a training goes with another training: same network, optimiser and average."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from raynas.errors import RunFolderError


def check_state(own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Compares two of FinalTraining's state dicts but for their numbers.

    Args:
        own: of the training that is to go on.
        state: from a checkpoint.
    Raises:
        RunFolderError: names the first differences; nothing was loaded.
    """
    problems = list(_problems(own, state))
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise RunFolderError(
            f"The checkpoint is of another training: {'; '.join(problems[:3])}{more}. A training goes on "
            "with the cell, network, optimiser and average that it was started with alone: put its own "
            "checkpoints and training.json back, or train anew with another --out."
        )


def _problems(own: Mapping[str, Any], state: Mapping[str, Any]) -> Iterator[str]:
    if own.keys() != state.keys():
        yield f"it holds {', '.join(sorted(state))} in place of {', '.join(sorted(own))}"
        return
    yield from _tensor_problems(own["network"], state["network"])
    if (own["average"] is None) != (state["average"] is None):
        yield f"it has {'no' if state['average'] is None else 'an'} average of the weights"
    ours, theirs = (_options(each["optimizer"]) for each in (own, state))
    if ours != theirs:
        yield f"its optimiser has the options {theirs}, here {ours}"


def _tensor_problems(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[str]:
    yield from (f"{key} is missing" for key in own if key not in state)
    yield from (f"{key} is not in this network" for key in state if key not in own)
    for key in own:
        if key in state and state[key].shape != own[key].shape:
            yield f"{key} is {tuple(state[key].shape)}, here {tuple(own[key].shape)}"


def _options(optimizer: Mapping[str, Any]) -> list[str]:
    return sorted({name for group in optimizer["param_groups"] for name in group} - {"params"})
