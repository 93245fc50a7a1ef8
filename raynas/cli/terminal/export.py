"""`raynas export`: which network is meant, and what is printed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from rich.console import Console

from raynas.errors import ModelError, UnknownName, UsageError
from raynas.models.export import Exported, Format, check_destination, export
from raynas.models.folder import INFO_FILE, LoadedModel, ModelInfo, is_model, load_model
from raynas.models.networks import NETWORKS, PublishedNetwork, build
from raynas.models.weights import load_weights, read_weights
from raynas.nn import Network

SUBFOLDERS = ("model", "best")
"""Of a run's folder: its trained networks, first the one that is meant where none is named."""


@dataclass(frozen=True, slots=True)
class Source:
    """Which network: the folder of a trained one, or a published one's name and where its weights are."""

    what: str
    weights: str | None = None
    uses_random_weights: bool = False
    num_classes: int | None = None
    """That the weights were trained for; None: as published."""
    image_size: int | None = None
    """Pixels per side; None: as trained or published."""


def run_export(source: Source, format: Format, out: Path | None, *, force: bool, console: Console) -> None:
    """Exports, and prints what was written.

    Args:
        out: None: in this folder, named after the network.
    Raises:
        UsageError: no network is found there, options don't go together, or what `export` raises.
    """
    out = out or Path(f"{_name(source.what)}.{format}")
    # Before weights are read or fetched.
    check_destination(format, out, force=force)
    exported = export(find_model(source), format, out, force=force)
    console.print(_report(exported))


def find_model(source: Source) -> LoadedModel:
    """The network with its weights.

    Raises:
        UsageError: see run_export.
    """
    model = _published(source) if source.what in NETWORKS else _trained(source)
    size = source.image_size or model.info.image_size
    return LoadedModel(model.network, model.info.model_copy(update={"image_size": size}))


def _trained(source: Source) -> LoadedModel:
    place = Path(source.what)
    found = next((path for path in (place, place / SUBFOLDERS[0]) if is_model(path)), None)
    if found is None:
        _refuse(place)
    given = {"--weights": source.weights, "--num-classes": source.num_classes}
    given["--random-weights"] = source.uses_random_weights or None
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                f"{option} goes with a published network; {found} has its own weights and classes. Leave it "
                "out."
            )
    return load_model(found)


def _refuse(place: Path) -> NoReturn:
    if place.exists():
        raise ModelError(
            f"{place} holds no trained network: there is no {INFO_FILE} in it, nor in its folder "
            f"{SUBFOLDERS[0]!r}. A search keeps cells, not weights: 'raynas train' its best cell first, or "
            "give the name of a published network."
        )
    hint = f"A folder of a trained network, with its {INFO_FILE}, will do too; there is nothing at {place}."
    raise UnknownName("published network", str(place), NETWORKS, hint)


def _published(source: Source) -> LoadedModel:
    if (source.weights is None) != source.uses_random_weights:
        raise UsageError(
            f"{source.what} has no weights of its own. Give --weights FILE or --weights timm:TAG, or else "
            "--random-weights to try an export out; not both."
        )
    published = NETWORKS[source.what]
    # Of random weights too, two exports are to be the same.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(source.what, num_classes=source.num_classes)
    if source.weights is not None:
        _load(network, source.weights, source.what)
    return LoadedModel(network.eval(), _published_info(published, network, source))


def _load(network: Network, weights: str, name: str) -> None:
    state = {
        key: tensor for key, tensor in read_weights(weights, name).items() if not key.startswith("auxiliary.")
    }
    try:
        load_weights(network, state)
    except UsageError as error:
        raise ModelError(f"{weights}: {error} --num-classes says how many classes they have.") from error


def _published_info(published: PublishedNetwork, network: Network, source: Source) -> ModelInfo:
    preprocessing = published.preprocessing
    origin = source.weights or "random: this network is not trained"
    return ModelInfo.of(
        network,
        mean=preprocessing.mean,
        std=preprocessing.std,
        # Pictures of 32 pixels were never cut.
        crop_fraction=preprocessing.crop_fraction if published.image_size > 32 else 1.0,
        interpolation=preprocessing.interpolation,
        training={
            "network": source.what,
            # The name alone: folders are nobody else's business.
            "weights": origin if origin.startswith(("timm:", "random:")) else Path(origin).name,
            "preprocessing": "the published network's; whoever trained these weights may have used another",
            "source": published.source,
        },
    )


def _name(what: str) -> str:
    """Of the file, where none is given."""
    if what in NETWORKS:
        return what
    place = Path(what).resolve()
    if place.name == SUBFOLDERS[0]:
        return place.parent.name
    if place.name in SUBFOLDERS:
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
    lines += [f"{exported.description}  what the network is"] if exported.description else []
    lines += [
        f"{exported.card}  model card",
        f"{exported.picture}  its picture of the cell",
        f"largest difference from the network: {checked}",
    ]
    return "\n".join(lines)
