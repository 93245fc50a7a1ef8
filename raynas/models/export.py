"""A network as a file for others: ONNX and PyTorch's pt2 run without raynas, safetensors has the weights.

What was written is loaded back and compared with the network before it gets its name. A model card and a
picture of the cell lie beside it.
"""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

import copy
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from raynas.cells.draw import genotype_svg
from raynas.errors import ModelError, RaynasError
from raynas.models.card import model_card
from raynas.models.folder import LoadedModel, load_model, save_model

ExportFormat = Literal["onnx", "pt2", "safetensors"]
FORMATS: tuple[str, ...] = get_args(ExportFormat)
INPUT, OUTPUT = "images", "logits"
"""What input and output of the ONNX graph are called."""
TOLERANCE = 1e-4
"""Largest difference from the network that is let through, as a share of its largest logit."""
NUM_TRACED, NUM_CHECKED = 2, 3
"""Images at a time; different, so that a batch size that is baked in is found."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The files that were written, and how far the exported network is from the one in memory."""

    file: Path
    card: Path
    picture: Path
    description: Path | None
    """Of safetensors: what the network is."""
    num_bytes: int
    largest_difference: float | None
    """As a share of the largest logit, on random images; None: there was nothing to run the file with."""


def export_model(model: LoadedModel, format: ExportFormat, out: Path, *, force: bool = False) -> Exported:
    """Writes the network in evaluation mode, float32 and without its auxiliary head: images in, logits out.

    ONNX and pt2 take any number of images of model.info.image_size pixels.

    Args:
        out: NAME.onnx, NAME.pt2 or NAME.safetensors; the same with .md and .svg after it come beside it, and
            NAME.json for safetensors. Missing folders are made.
        force: overwrite them.
    Raises:
        ModelError: bad name, existing files, no place to write, or a package that is not installed.
        InvalidConfig: image_size is too small for the network.
        RaynasError: the file gives other numbers than the network; nothing is left of it.
    """
    check_destination(format, out, force=force)
    # Before anything is written: images can be too small.
    cost = model.info.spec.complexity()
    model = _for_inference(model)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".raynas-export-", dir=out.parent) as folder:
            draft = Path(folder, out.name)
            _WRITERS[format](model, draft)
            difference = _difference(model, format, draft)
            picture = genotype_svg(model.info.genotype, title=out.stem)
            _picture(draft).write_text(picture, encoding="utf-8")
            card = model_card(model.info, cost, file=out.name, difference=difference)
            _card(draft).write_text(card, encoding="utf-8")
            for path in _files(format, out):
                os.replace(Path(folder, path.name), path)
    except OSError as error:
        raise ModelError(f"{out} can't be written: {error}.") from error
    return Exported(
        file=out,
        card=_card(out),
        picture=_picture(out),
        description=out.with_suffix(".json") if format == "safetensors" else None,
        num_bytes=out.stat().st_size,
        largest_difference=difference,
    )


def check_destination(format: str, out: Path, *, force: bool = False) -> None:
    """ModelError unless `export_model` could write there."""
    if format not in FORMATS:
        raise ModelError(f"format {format!r} is unknown. Known: {', '.join(FORMATS)}.")
    if out.suffix != f".{format}":
        raise ModelError(
            f"{out} is not named .{format}, as files of format {format} are. Give {out.stem}.{format}, or "
            "another format."
        )
    missing = [name for name in ("onnx", "onnxscript") if format == "onnx" and find_spec(name) is None]
    if missing:
        raise ModelError(
            f"Format onnx needs {' and '.join(missing)}, not installed here. Run: pip install onnx "
            "onnxscript onnxruntime"
        )
    for path in _files(format, out):
        if path.is_dir() or (path.exists() and not force):
            raise ModelError(
                f"{path} exists already and is not overwritten. Give another name, or for files add --force "
                "(force=True)."
            )


def _files(format: str, out: Path) -> list[Path]:
    """The network comes last, when all that describes it is there."""
    description = [out.with_suffix(".json")] if format == "safetensors" else []
    return [_picture(out), _card(out), *description, out]


def _card(out: Path) -> Path:
    # With the format in its name: one network can be exported to several.
    return out.with_name(f"{out.name}.md")


def _picture(out: Path) -> Path:
    return out.with_name(f"{out.name}.svg")


def _for_inference(model: LoadedModel) -> LoadedModel:
    """A copy as it is to be exported."""
    network = copy.deepcopy(model.network).cpu().float().eval()
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    network.auxiliary = None
    network.config = network.config.model_copy(update={"auxiliary_head": False})
    return LoadedModel(network, model.info.model_copy(update={"network": network.config}))


def _random_images(model: LoadedModel, number: int) -> Tensor:
    size = model.info.image_size
    generator = torch.Generator().manual_seed(0)
    return torch.randn(number, model.info.in_channels, size, size, generator=generator)


def _program(model: LoadedModel) -> torch.export.ExportedProgram:
    """The network as a graph of torch operations for any number of images."""
    program = torch.export.export(
        model.network,
        (_random_images(model, NUM_TRACED),),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    for node in program.graph.nodes:
        # It would carry the paths of this machine into the file.
        node.meta.pop("stack_trace", None)
    return program


def _write_onnx(model: LoadedModel, path: Path) -> None:
    with warnings.catch_warnings():
        # torch's own, about its own data structures.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            _program(model),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    program.save(path, external_data=False)


def _write_pt2(model: LoadedModel, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.export.save(_program(model), path)


def _write_safetensors(model: LoadedModel, path: Path) -> None:
    save_model(path, model.network, model.info)


_WRITERS: dict[str, Callable[[LoadedModel, Path], None]] = {
    "onnx": _write_onnx,
    "pt2": _write_pt2,
    "safetensors": _write_safetensors,
}


@torch.no_grad()
def _difference(model: LoadedModel, format: str, path: Path) -> float | None:
    """Largest difference of a logit, as a share of the largest; RaynasError if it is too large."""
    images_NCHW = _random_images(model, NUM_CHECKED)
    expected_NK = model.network(images_NCHW)
    if not expected_NK.isfinite().all():
        raise RaynasError(
            "The network itself gives numbers that are not finite on random images: nothing was exported. "
            "Its weights are damaged, its training diverged, or they are random in a network this deep."
        )
    given_NK = _READERS[format](path, images_NCHW)
    if given_NK is None:
        return None
    difference = (given_NK - expected_NK).abs().max() / expected_NK.abs().max().clamp(min=1e-30)
    # NaN is not below anything.
    if not difference <= TOLERANCE:
        raise RaynasError(
            f"The exported file gives other logits than the network: they differ by {difference:.2g} of the "
            f"largest, at most {TOLERANCE:g} is let through. Nothing was exported; format "
            f"{'pt2' if format == 'onnx' else 'safetensors'} may do better. Please report this cell."
        )
    return float(difference)


def _run_onnx(path: Path, images_NCHW: Tensor) -> Tensor | None:
    if find_spec("onnxruntime") is None:
        import onnx

        onnx.checker.check_model(path, full_check=True)
        return None
    import onnxruntime  # type: ignore[import-untyped]

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run([OUTPUT], {INPUT: images_NCHW.numpy()})[0])


def _run_pt2(path: Path, images_NCHW: Tensor) -> Tensor:
    return torch.export.load(path).module()(images_NCHW)  # type: ignore[no-any-return]


def _run_safetensors(path: Path, images_NCHW: Tensor) -> Tensor:
    return load_model(path).network(images_NCHW)  # type: ignore[no-any-return]


_READERS: dict[str, Callable[[Path, Tensor], Tensor | None]] = {
    "onnx": _run_onnx,
    "pt2": _run_pt2,
    "safetensors": _run_safetensors,
}
