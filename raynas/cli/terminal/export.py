"""`raynas export`: finds the network that is meant, exports it, and prints what was written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import torch
from rich.console import Console

from raynas.errors import ModelError, UnknownName, UsageError, WeightsError
from raynas.files import BEST_MODEL_FOLDER, LAST_MODEL_FOLDER
from raynas.models.export import Exported, ExportFormat, check_destination, export_model
from raynas.models.fitting import Fitted, fit_weights
from raynas.models.folder import INFO_FILE, LoadedModel, ModelInfo, is_model, load_model
from raynas.models.networks import NETWORKS, PublishedNetwork, check_classifier
from raynas.models.weights import TIMM_PREFIX, Weights, read_weights
from raynas.nn import Network, NetworkSpec

NOTES = "weights_notes"
"""What was chosen and changed when weights were read, in ModelInfo.training."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The network to export, as the command line names it.

    Attributes:
        what: folder of a training or of a trained network, or the name of a published network.
        weights: for a published network: a file, or timm:TAG.
        uses_random_weights: whether a published network gets random weights instead.
        num_classes: number of classes in `weights`; None means as published.
        image_size: pixels per side; None means as trained or published.
    """

    what: str
    weights: str | None = None
    uses_random_weights: bool = False
    num_classes: int | None = None
    image_size: int | None = None


def run_export(
    request: ExportRequest, format: ExportFormat, out: Path | None, *, force: bool, console: Console
) -> None:
    """Exports a network and prints what was written.

    Args:
        out: the file; None means a file in the working directory, named after the network.
    Raises:
        UsageError: there is no such network, options contradict each other, or `out` can't be written.
    """
    out = out or Path(f"{_name(request.what)}.{format}")
    # Checked before weights are read or downloaded, which can take minutes.
    check_destination(format, out, force=force)
    model = find_model(request)
    exported = export_model(model, format, out, force=force)
    for note in model.info.training.get(NOTES, ()):
        console.print(f"weights: {note}")
    console.print(_report(exported))


def find_model(request: ExportRequest) -> LoadedModel:
    """The network with its weights.

    Raises:
        UsageError: there is no such network, or options contradict each other.
    """
    model = _published(request) if request.what in NETWORKS else _trained(request)
    size = request.image_size or model.info.image_size
    return LoadedModel(model.network, model.info.model_copy(update={"image_size": size}))


def _trained(request: ExportRequest) -> LoadedModel:
    place = Path(request.what)
    found = next((path for path in (place, place / LAST_MODEL_FOLDER) if is_model(path)), None)
    if found is None:
        _refuse(place)
    given = {
        "--weights": request.weights,
        "--num-classes": request.num_classes,
        "--random-weights": request.uses_random_weights or None,
    }
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                f"{option} is for published networks, but {found} has its own weights and classes. Leave it "
                "out."
            )
    return load_model(found)


def _refuse(place: Path) -> NoReturn:
    if place.exists():
        raise ModelError(
            f"{place} holds no trained network: there is no {INFO_FILE} in it, nor in its folder "
            f"{LAST_MODEL_FOLDER!r}. A search keeps cells, not weights: train its best cell with "
            "'raynas train' first, or give the name of a published network."
        )
    hint = (
        f"The folder of a trained network, with its {INFO_FILE}, works too, but there is nothing at {place}."
    )
    raise UnknownName("published network", str(place), NETWORKS, hint)


def _published(request: ExportRequest) -> LoadedModel:
    if (request.weights is None) != request.uses_random_weights:
        raise UsageError(
            f"{request.what} comes without weights. Give --weights FILE, --weights timm:TAG, or else "
            "--random-weights to try out an export; not both."
        )
    published = NETWORKS[request.what]
    classes = published.num_classes if request.num_classes is None else request.num_classes
    spec = replace(published.spec, num_classes=classes)
    # Two exports with random weights give the same file.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = spec.build()
    if request.weights is None:
        info = _published_info(published, network, request.what, "random: this network is not trained")
        return LoadedModel(network.eval(), info)
    weights, fitted = _fitted(spec, request.weights, request.what)
    network.load_state_dict(fitted.state, strict=False)
    # Only the name of the file: its folders may say who the user is.
    origin = request.weights if request.weights.startswith(TIMM_PREFIX) else Path(request.weights).name
    info = _published_info(published, network, request.what, origin)
    notes = {NOTES: [*weights.notes, *fitted.notes]} if weights.notes or fitted.notes else {}
    known = {"classes": weights.classes, "training": info.training | notes}
    return LoadedModel(network.eval(), info.model_copy(update=known))


def _fitted(spec: NetworkSpec, source: str, name: str) -> tuple[Weights, Fitted]:
    weights = read_weights(source, name)
    try:
        fitted = fit_weights(weights.state, spec)
    except WeightsError as error:
        raise ModelError(f"{source}: {error}") from error
    check_classifier(fitted, weights)
    return weights, fitted


def _published_info(published: PublishedNetwork, network: Network, name: str, origin: str) -> ModelInfo:
    preprocessing = published.preprocessing
    return ModelInfo.of(
        network,
        mean=preprocessing.mean,
        std=preprocessing.std,
        # Networks for 32 pixels (CIFAR-10) were evaluated on whole images, without a crop.
        crop_fraction=preprocessing.crop_fraction if published.image_size > 32 else 1.0,
        interpolation=preprocessing.interpolation,
        training={
            "network": name,
            "weights": origin,
            "preprocessing": "the published network's; whoever trained these weights may have used another",
            "source": published.source,
        },
    )


def _name(what: str) -> str:
    """Name of the exported file, without its suffix."""
    if what in NETWORKS:
        return what
    place = Path(what).resolve()
    if place.name == LAST_MODEL_FOLDER:
        return place.parent.name
    if place.name == BEST_MODEL_FOLDER:
        return f"{place.parent.name}-{place.name}"
    return place.stem if place.suffix else place.name


def _report(exported: Exported) -> str:
    share = exported.largest_difference
    checked = (
        "not measured: onnxruntime is not installed (pip install onnxruntime)"
        if share is None
        else f"{share:.1e} of the largest logit, on random images"
    )
    lines = [f"{exported.file}  {exported.num_bytes / 1e6:.1f} MB"]
    lines += [f"{exported.description}  description of the network"] if exported.description else []
    lines += [
        f"{exported.card}  model card",
        f"{exported.picture}  picture of the cell",
        f"largest difference from the network in PyTorch: {checked}",
    ]
    return "\n".join(lines)
