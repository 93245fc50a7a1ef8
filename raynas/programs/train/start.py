"""The weights from which a final training begins: read and fitted on the driver, before any worker starts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from torch import Tensor

from raynas.errors import WeightsError
from raynas.models.fitting import Fitted, fit_weights
from raynas.models.weights import Weights, read_weights
from raynas.nn import NetworkSpec
from raynas.programs.train.config import InitialWeightsConfig, TrainConfig

logger = logging.getLogger("raynas.train")


def initial_weights(
    config: TrainConfig, spec: NetworkSpec, classes: Sequence[str] | None
) -> tuple[InitialWeightsConfig, Mapping[str, Tensor]]:
    """What is recorded of the weights that `config.weights` names, and the tensors for the network of `spec`.

    Args:
        classes: names of the classes of the data; None where not known.
    Raises:
        WeightsError: they can't be read, don't fit, or are others than the training was started with.
    """
    assert config.weights is not None
    weights = read_weights(config.weights.source, config.cell)
    digest = weights.digest()
    if config.weights.digest not in ("", digest):
        raise WeightsError(
            f"{weights.source} holds other weights (digest {digest}) than those from which the training "
            f"began ({config.weights.digest}). Put those back, or start a new training in another folder."
        )
    fitted = _fitted(weights, spec, classes)
    recorded = InitialWeightsConfig(
        source=config.weights.source,
        digest=digest,
        new=tuple(f"{part} ({reason})" for part, reason in fitted.new.items()),
        notes=(*weights.notes, *fitted.notes),
    )
    logger.info("training begins from weights: %s", described(recorded))
    return recorded, fitted.state


def described(weights: InitialWeightsConfig) -> str:
    """From what a training began, and what was made new, in a line."""
    notes = "".join(f"; {note}" for note in weights.notes)
    return f"{weights.source} (digest {weights.digest}){notes}; new: {', '.join(weights.new) or 'nothing'}"


def _fitted(weights: Weights, spec: NetworkSpec, classes: Sequence[str] | None) -> Fitted:
    try:
        return fit_weights(weights.state, spec, trained_classes=weights.classes, classes=classes)
    except WeightsError as error:
        hint = ""
        if weights.info is not None:
            network = weights.info.network
            hint = (
                f" They are of architecture {weights.info.genotype.arch_id} with {network.cells_per_stack} "
                f"cells per stack and {network.filters} filters: leave the cell out and set no network.*, "
                "and that network is trained."
            )
        raise WeightsError(f"{weights.source}: {error}{hint}") from error
