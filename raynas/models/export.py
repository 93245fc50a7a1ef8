"""Exports a network to a file: ONNX and PyTorch's pt2 run without raynas, safetensors has the weights.

The written file is loaded back and compared with the network before it is moved to its place. A model card
and a picture of the cells are written beside it.
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
from typing import Generic, Literal, TypeVar, get_args

import torch
from torch import Tensor

from raynas.cells.draw import genotype_svg
from raynas.cells.genotype import Genotype
from raynas.errors import ModelError, RaynasError
from raynas.models.card import model_card
from raynas.models.folder import LoadedModel, load_model, save_model

ExportFormat = Literal["onnx", "pt2", "safetensors"]
FORMATS: tuple[str, ...] = get_args(ExportFormat)
INPUT, OUTPUT = "images", "logits"
"""Names of the input and the output of the ONNX graph."""
TOLERANCE = 1e-4
"""Largest difference from the network that is accepted, as a fraction of its largest logit."""
NUM_TRACED, NUM_CHECKED = 2, 3
"""Batch sizes, which differ so that a graph with a fixed batch size is noticed."""


Difference = TypeVar("Difference")


@dataclass(frozen=True)
class Exported(Generic[Difference]):
    """The files that were written, and how much the exported network differs from the one in memory."""

    file: Path
    card: Path
    picture: Path
    description: Path | None
    """The network's description, for format safetensors only."""
    num_bytes: int
    largest_difference: Difference
    """A classifier's is measured on random images, as a fraction of the largest logit; a detector's is in
    words. None means that nothing could run the file.
    """


def export_model(
    model: LoadedModel, format: ExportFormat, out: Path, *, force: bool = False
) -> Exported[float | None]:
    """Writes the network in evaluation mode, float32 and without its auxiliary head: images in, logits out.

    ONNX and pt2 take any number of images of model.info.image_size pixels.

    Args:
        out: NAME.onnx, NAME.pt2 or NAME.safetensors. The model card OUT.md, the picture OUT.svg and for
            safetensors also NAME.json are written beside it. Missing folders are created.
        force: overwrite existing files.
    Raises:
        ModelError: the name has another suffix, files exist already or can't be written, or a package is
            not installed.
        InvalidConfig: image_size is too small for the network.
        RaynasError: the file gives other numbers than the network; it was deleted.
    """
    check_destination(format, out, force=force)
    # Computed before anything is written, because it refuses images that are too small.
    cost = model.info.spec.complexity()
    model = _for_inference(model)

    def write(draft: Path) -> float | None:
        _WRITERS[format](model, draft)
        return _difference(model, format, draft)

    return write_files(
        format,
        out,
        genotype=model.info.genotype,
        write=write,
        card=lambda difference: model_card(model.info, cost, file=out.name, difference=difference),
    )


def write_files(
    format: ExportFormat,
    out: Path,
    *,
    genotype: Genotype,
    write: Callable[[Path], Difference],
    card: Callable[[Difference], str],
) -> Exported[Difference]:
    """Writes a network of any task, its card and its picture, all of them or none.

    Args:
        write: writes the network to a path, checks what it wrote and tells the difference from the network.
        card: makes the model card of that difference.
    Raises:
        ModelError: the files can't be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".raynas-export-", dir=out.parent) as folder:
            draft = Path(folder, out.name)
            difference = write(draft)
            picture = genotype_svg(genotype, title=out.stem)
            _picture(draft).write_text(picture, encoding="utf-8")
            _card(draft).write_text(card(difference), encoding="utf-8")
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
            f"{out} does not end in .{format}, as files of format {format} do. Give {out.stem}.{format}, or "
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
                f"{path} exists already and is not overwritten. Give another name, or overwrite files with "
                "force=True (--force)."
            )


def _files(format: str, out: Path) -> list[Path]:
    """All files of an export. The network comes last, when everything that describes it is there."""
    description = [out.with_suffix(".json")] if format == "safetensors" else []
    return [_picture(out), _card(out), *description, out]


def _card(out: Path) -> Path:
    # The suffix stays in the name, because one network can be exported to several formats.
    return out.with_name(f"{out.name}.md")


def _picture(out: Path) -> Path:
    return out.with_name(f"{out.name}.svg")


def _for_inference(model: LoadedModel) -> LoadedModel:
    """A copy in evaluation mode, float32 and without the auxiliary head."""
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
        # Stack traces would put this machine's file paths into the file.
        node.meta.pop("stack_trace", None)
    return program


def _write_onnx(model: LoadedModel, path: Path) -> None:
    with warnings.catch_warnings():
        # torch warns about its own data structures here.
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
    """Largest difference of a logit, as a fraction of the largest; RaynasError if it is too large."""
    images_NCHW = _random_images(model, NUM_CHECKED)
    expected_NK = model.network(images_NCHW)
    if not expected_NK.isfinite().all():
        raise RaynasError(
            "The network itself gives logits that are not finite on random images, so nothing was exported. "
            "Its weights are damaged, its training diverged, or they are random in a network this deep."
        )
    given_NK = _READERS[format](path, images_NCHW)
    if given_NK is None:
        return None
    difference = (given_NK - expected_NK).abs().max() / expected_NK.abs().max().clamp(min=1e-30)
    # Written with `not`, because every comparison with NaN is false.
    if not difference <= TOLERANCE:
        raise RaynasError(
            f"The exported file gives other logits than the network: they differ by {difference:.2g} of the "
            f"largest, and at most {TOLERANCE:g} is accepted. Nothing was exported; format "
            f"{'pt2' if format == 'onnx' else 'safetensors'} may do better. Please report this cell."
        )
    return float(difference)


def _run_onnx(path: Path, images_NCHW: Tensor) -> Tensor | None:
    if find_spec("onnxruntime") is None:
        import onnx

        onnx.checker.check_model(path, full_check=True)
        return None
    import onnxruntime

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
