"""Fits a state dict to a network: timm's names, other image channels, other classes, and what doesn't fit."""

# Shapes: O output channels, C channels of the images, k x k pixels of a filter, K classes.

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from raynas.errors import WeightsError
from raynas.models.timm_names import from_timm, is_timm
from raynas.nn import Network, NetworkSpec

CLASSIFIER, AUXILIARY, AUXILIARY_CLASSIFIER = "classifier", "auxiliary head", "auxiliary head's classifier"
"""Parts of a network that may be made anew, as `Fitted.new` names them."""
_COUNTER = "num_batches_tracked"
"""Name of batch norm's counter, which older files lack and which nothing here uses."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Tensors for a network.

    Attributes:
        state: with the network's names, shapes and types; what belongs to `new` is not in it.
        new: why a part is made anew, by CLASSIFIER, AUXILIARY and AUXILIARY_CLASSIFIER.
        notes: what was changed in the tensors or left out, each a phrase.
    """

    state: dict[str, Tensor]
    new: dict[str, str]
    notes: tuple[str, ...]


def load_weights(network: Network, state: Mapping[str, Tensor]) -> None:
    """Copies `state` into `network`; if `state` has no auxiliary head, the network's stays as it is.

    Raises:
        WeightsError: tensors are missing, unexpected or of another shape; the first ones are named, and
            nothing was copied.
    """
    if is_timm(state):
        state = from_timm(state, network)
    own = network.state_dict()
    if not any(key.startswith("auxiliary.") for key in state):
        own = {key: value for key, value in own.items() if not key.startswith("auxiliary.")}
    check_fit(own, state)
    network.load_state_dict(dict(state), strict=False)


def fit_weights(
    state: Mapping[str, Tensor],
    spec: NetworkSpec,
    *,
    trained_classes: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
) -> Fitted:
    """The tensors of `state` as the network of `spec` takes them.

    The first convolution is changed to the images' channels as in timm. The classifier is made anew where the
    number or the names of classes differ; if they are the same names in another order, its rows are put into
    the new order. So is the auxiliary head's. A network without a classifier (num_classes = 0) leaves it out.

    Args:
        state: with raynas's or timm's names.
        trained_classes, classes: names of the classes in `state` and of the network; None where not known.
    Raises:
        WeightsError: tensors of other parts are missing, unexpected or of another shape; the first ones are
            named.
    """
    with torch.device("meta"):
        network = spec.build()
    own = network.state_dict()
    given = dict(from_timm(state, network) if is_timm(state) else state)
    _complete_counters(given, own)
    notes = [*_change_channels(given, own, spec.in_channels)]
    new: dict[str, str] = {}
    notes += _fit_classifier(given, own, new, trained_classes, classes)
    notes += _fit_auxiliary(given, own, new, trained_classes, classes)
    check_fit(own, given)
    return Fitted(given, new, tuple(notes))


def _complete_counters(given: dict[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Adds the counters of batch norm that are missing, where the norm itself is there."""
    for key, tensor in own.items():
        if key in given and key.endswith(_COUNTER):
            given[key] = given[key].to(tensor.dtype)
        elif key.endswith(_COUNTER) and f"{key.removesuffix(_COUNTER)}weight" in given:
            given[key] = torch.zeros((), dtype=tensor.dtype)


def check_fit(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """WeightsError unless `state` has the names, shapes and kinds of numbers that `own` has."""
    both = [key for key in own if key in state]
    problems = [
        *_listed("missing", [f"{key} {tuple(own[key].shape)}" for key in own if key not in state]),
        *_listed("unexpected", [f"{key} {tuple(state[key].shape)}" for key in state if key not in own]),
        *_listed(
            "of another shape",
            [
                f"{key} {tuple(state[key].shape)}, here {tuple(own[key].shape)}"
                for key in both
                if state[key].shape != own[key].shape
            ],
        ),
        *_listed(
            "of another type",
            [
                f"{key} {state[key].dtype}, here {own[key].dtype}"
                for key in both
                if state[key].is_floating_point() != own[key].is_floating_point() or state[key].is_complex()
            ],
        ),
    ]
    if problems:
        raise WeightsError(
            f"The weights don't fit this network. {' '.join(problems)} Build the network with the cell, "
            "sizes and number of classes that they were trained with."
        )


def _listed(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    return [f"{len(names)} {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}."]


def _change_channels(given: dict[str, Tensor], own: Mapping[str, Tensor], channels: int) -> list[str]:
    """Gives the first convolution as many input channels as the images have.

    Source: adapt_input_conv in huggingface/pytorch-image-models timm/models/_manipulate.py; from one channel,
    which is refused there, each gets an equal share.
    """
    name = next((key for key, tensor in own.items() if key.startswith("stem.0.") and tensor.ndim == 4), "")
    weight_OCkk = given.get(name)
    if weight_OCkk is None or weight_OCkk.ndim != 4 or weight_OCkk.shape[1] not in (1, 3):
        return []
    trained = weight_OCkk.shape[1]
    if trained == channels:
        return []
    if channels == 1:
        given[name] = weight_OCkk.sum(dim=1, keepdim=True)
        return [f"the first convolution's {trained} channels are summed to one, for grey images"]
    repeated_OCkk = weight_OCkk.repeat(1, math.ceil(channels / trained), 1, 1)[:, :channels]
    given[name] = repeated_OCkk * (trained / channels)
    source = "one channel is" if trained == 1 else f"{trained} channels are"
    return [f"the first convolution's {source} repeated to {channels}, and scaled by {trained}/{channels}"]


def _fit_classifier(
    given: dict[str, Tensor],
    own: dict[str, Tensor],
    new: dict[str, str],
    trained_classes: Sequence[str] | None,
    classes: Sequence[str] | None,
) -> list[str]:
    """Keeps, reorders or removes the classifier; what is removed of `own` is said in `new`."""
    weight, target = given.get("classifier.weight"), own.get("classifier.weight")
    if target is None:
        return ["the classifier is left out"] if _remove(given, "classifier.") else []
    reason = _why_new(weight, target.shape[0], trained_classes, classes)
    if reason is not None:
        new[CLASSIFIER] = reason
        _remove(given, "classifier.")
        _remove(own, "classifier.")
        return []
    if trained_classes is None or classes is None:
        return [f"the classifier is kept: {target.shape[0]} classes, whose names can't be compared"]
    if tuple(trained_classes) == tuple(classes):
        return ["the classifier is kept: the classes are the same"]
    _reorder(given, "classifier.", trained_classes, classes)
    return ["the classifier is kept: the classes are the same, and its rows are put into their new order"]


def _why_new(
    weight: Tensor | None, num_classes: int, trained: Sequence[str] | None, classes: Sequence[str] | None
) -> str | None:
    """Why the classifier can't be kept; None if it can."""
    if weight is None:
        return "the weights have none"
    if weight.ndim == 0 or weight.shape[0] != num_classes:
        return f"theirs has {weight.shape[0] if weight.ndim else 0} classes, here are {num_classes}"
    if trained is None or classes is None or tuple(trained) == tuple(classes):
        return None
    if other := sorted(set(classes) - set(trained)):
        return f"the classes have other names, such as {other[0]!r} here"
    return None if len(set(classes)) == len(classes) else "a name of a class occurs twice"


def _fit_auxiliary(
    given: dict[str, Tensor],
    own: dict[str, Tensor],
    new: dict[str, str],
    trained_classes: Sequence[str] | None,
    classes: Sequence[str] | None,
) -> list[str]:
    """Does with the auxiliary head what was done with the classifier; one that doesn't fit is made anew."""
    head = {key: tensor for key, tensor in given.items() if key.startswith("auxiliary.")}
    target = {key: tensor for key, tensor in own.items() if key.startswith("auxiliary.")}
    if not target:
        return ["the auxiliary head is left out"] if _remove(given, "auxiliary.") else []
    features = {key: tensor for key, tensor in target.items() if not key.startswith("auxiliary.classifier.")}
    compared = features if CLASSIFIER in new else target
    if not head:
        new[AUXILIARY] = "the weights have none"
        made_anew = "auxiliary."
    elif any(key not in head or head[key].shape != tensor.shape for key, tensor in compared.items()):
        new[AUXILIARY] = "theirs is of another kind, or for images of another size"
        made_anew = "auxiliary."
    elif CLASSIFIER in new:
        new[AUXILIARY_CLASSIFIER] = new[CLASSIFIER]
        made_anew = "auxiliary.classifier."
    else:
        if trained_classes is not None and classes is not None:
            _reorder(given, "auxiliary.classifier.", trained_classes, classes)
        return []
    _remove(given, made_anew)
    _remove(own, made_anew)
    return []


def _reorder(given: dict[str, Tensor], prefix: str, trained: Sequence[str], classes: Sequence[str]) -> None:
    """Puts the rows of a last layer, which are in the order of `trained`, into that of `classes`."""
    if tuple(trained) == tuple(classes):
        return
    rows = [trained.index(name) for name in classes]
    for key in (f"{prefix}weight", f"{prefix}bias"):
        if key in given and given[key].shape[:1] == (len(rows),):
            given[key] = given[key][rows]


def _remove(tensors: dict[str, Tensor], prefix: str) -> bool:
    """Removes the tensors whose names begin so; whether there were any."""
    names = [key for key in tensors if key.startswith(prefix)]
    for key in names:
        del tensors[key]
    return bool(names)
