"""`raynas export`: finds the network that is meant, exports it, and prints what was written."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from rich.console import Console

from raynas.detection.export import export_detector
from raynas.detection.export_check import has_pictures, pictures_of
from raynas.detection.folder import detector_place, is_detector, load_detector
from raynas.detection.letterbox import ImageSize, check_image_size
from raynas.errors import ModelError, UnknownName, UsageError, WeightsError
from raynas.files import BEST_MODEL_FOLDER, LAST_MODEL_FOLDER, TRAINING_FILE, parse_json
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
        image_size: pixels per side, or 'HEIGHTxWIDTH'; None means as trained or published.
        check_on: for a detector: pictures on which its file is checked.
    """

    what: str
    weights: str | None = None
    uses_random_weights: bool = False
    num_classes: int | None = None
    image_size: str | None = None
    check_on: Path | None = None

    @property
    def size(self) -> ImageSize | None:
        """Height and width; UsageError if `image_size` is neither one number nor two."""
        if self.image_size is None:
            return None
        match = re.fullmatch(r"([1-9]\d{0,5})(?:[xX,]([1-9]\d{0,5}))?", self.image_size.strip(), re.ASCII)
        if match is None:
            raise UsageError(
                f"--image-size {self.image_size} must be pixels per side, such as 224, or for a detector "
                "height and width, such as 480x640."
            )
        height = int(match[1])
        return height, int(match[2] or height)


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
    detector = _detector(request)
    if detector is not None:
        _export_detector(detector, request, format, out, force=force, console=console)
        return
    model = find_model(request)
    exported = export_model(model, format, out, force=force)
    for note in model.info.training.get(NOTES, ()):
        console.print(f"weights: {note}")
    share = exported.largest_difference
    checked = None if share is None else f"{share:.1e} of the largest logit, on random images"
    console.print(_report(exported, checked))


def _detector(request: ExportRequest) -> Path | None:
    """The model folder of the detector that is meant; None if it is another network."""
    place = Path(request.what)
    if request.what in NETWORKS or not is_detector(place):
        return None
    return detector_place(place)


def _export_detector(
    place: Path, request: ExportRequest, format: ExportFormat, out: Path, *, force: bool, console: Console
) -> None:
    _check_options(request, place)
    size = request.size
    if size is not None:
        check_image_size(size)
    model = load_detector(place)
    num_channels = len(model.info.mean)
    source = request.check_on or _validation_pictures(place)
    pictures = [] if source is None else pictures_of(source, num_channels=num_channels)
    exported = export_detector(model, format, out, image_size=size, pictures=pictures, force=force)
    checked = exported.largest_difference
    if checked is not None:
        checked += f" ({'made up' if source is None else f'of {source}'})"
    console.print(_report(exported, checked))


def _validation_pictures(place: Path) -> Path | None:
    """The folder of the pictures with which the detector's training measured it, if it is still there."""
    for folder in (place, place.parent):
        try:
            recorded = parse_json((folder / TRAINING_FILE).read_bytes())
            source = Path(recorded["data"]["source"]).expanduser()
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            continue
        return source if source.is_dir() and has_pictures(source) else None
    return None


def find_model(request: ExportRequest) -> LoadedModel:
    """The network with its weights.

    Raises:
        UsageError: there is no such network, or options contradict each other.
    """
    model = _published(request) if request.what in NETWORKS else _trained(request)
    if request.check_on is not None:
        raise UsageError(
            f"--check-on is for detectors, but {request.what} is a classifier, which is checked on random "
            "images. Leave it out."
        )
    height, width = request.size or (model.info.image_size,) * 2
    if height != width:
        raise UsageError(
            f"--image-size {request.image_size}: {request.what} is a classifier, whose images are square. "
            f"Give one number, such as {max(height, width)}."
        )
    size = height
    return LoadedModel(model.network, model.info.model_copy(update={"image_size": size}))


def _trained(request: ExportRequest) -> LoadedModel:
    place = Path(request.what)
    found = next((path for path in (place, place / LAST_MODEL_FOLDER) if is_model(path)), None)
    if found is None:
        _refuse(place)
    _check_options(request, found)
    return load_model(found)


def _check_options(request: ExportRequest, found: Path) -> None:
    """UsageError if an option is given that is for published networks alone."""
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


def _report(exported: Exported[Any], checked: str | None) -> str:
    checked = checked or "not measured: onnxruntime is not installed (pip install onnxruntime)"
    lines = [f"{exported.file}  {exported.num_bytes / 1e6:.1f} MB"]
    lines += [f"{exported.description}  description of the network"] if exported.description else []
    lines += [
        f"{exported.card}  model card",
        f"{exported.picture}  picture of the cell",
        f"largest difference from the network in PyTorch: {checked}",
    ]
    return "\n".join(lines)
