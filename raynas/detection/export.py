"""Exports a detector to a file: ONNX and PyTorch's pt2 run without raynas, safetensors has the weights.

ONNX and pt2 take one picture at a time, letterboxed into an image of fixed size. The written file is loaded
back and compared with the detector on pictures before it is moved to its place.
"""

# Shapes: C channels, H x W pixels.

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from raynas.detection.card import detector_card
from raynas.detection.export_check import Found, Inference, compare, found_by_detector, made_up_pictures
from raynas.detection.folder import LoadedDetector, load_detector, save_detector
from raynas.detection.inference import DetectorForInference, exported_program
from raynas.detection.letterbox import ImageSize, Letterbox
from raynas.errors import RaynasError, UsageError
from raynas.models.export import Exported, ExportFormat, check_destination, write_files

INPUTS, OUTPUTS = ["image", "inner_size"], ["boxes", "scores", "labels"]
"""Names of the inputs and the outputs of the ONNX graph."""


def export_detector(
    model: LoadedDetector,
    format: ExportFormat,
    out: Path,
    *,
    image_size: ImageSize | None = None,
    pictures: Sequence[Tensor] = (),
    force: bool = False,
) -> Exported[str | None]:
    """Writes the detector in evaluation mode and float32.

    Args:
        out: NAME.onnx, NAME.pt2 or NAME.safetensors. The model card OUT.md, the picture OUT.svg and for
            safetensors also NAME.json are written beside it.
        image_size: height and width of the images, for ONNX and pt2; see Letterbox.of.
        pictures: float (C, H, W) in [0, 1], on which the file is compared with the detector. Defaults to
            made-up ones.
    Raises:
        UsageError: the size is no multiple of 32, or is given for safetensors.
        ModelError: see export_model.
        RaynasError: the file finds other things than the detector; it was deleted.
    """
    check_destination(format, out, force=force)
    if format == "safetensors" and image_size is not None:
        raise UsageError(
            "Format safetensors has no image size: raynas builds a detector for pictures of any size from "
            "it. Leave the size (--image-size) out."
        )
    letterbox = Letterbox.of(model.info.detector, image_size)
    detector = copy.deepcopy(model.detector).cpu().float().eval()
    _check_finite(detector)
    model = LoadedDetector(detector, model.info)
    boxed = [letterbox(picture_CHW) for picture_CHW in pictures or _made_up(model, letterbox)]

    def write(draft: Path) -> str | None:
        _WRITERS[format](model, letterbox, draft)
        run = _READERS[format](draft)
        if run is None:
            return None
        return compare(run, lambda image: found_by_detector(detector, image), boxed)

    return write_files(
        format,
        out,
        genotype=model.info.genotype,
        write=write,
        card=lambda difference: detector_card(model.info, letterbox, file=out.name, difference=difference),
    )


def _made_up(model: LoadedDetector, letterbox: Letterbox) -> list[Tensor]:
    return made_up_pictures(letterbox.fits, num_channels=len(model.info.mean))


def _check_finite(detector: torch.nn.Module) -> None:
    broken = [key for key, tensor in detector.state_dict().items() if not tensor.isfinite().all()]
    if broken:
        raise RaynasError(
            f"The detector has weights that are not finite, in {len(broken)} of its tensors, the first "
            f"{broken[0]}, so nothing was exported. Its training diverged, or its file is damaged."
        )


def _program(model: LoadedDetector, letterbox: Letterbox) -> torch.export.ExportedProgram:
    program = exported_program(DetectorForInference(model.detector, letterbox.image_size))
    for node in program.graph.nodes:
        # Stack traces would put this machine's file paths into the file.
        node.meta.pop("stack_trace", None)
    return program


def _write_onnx(model: LoadedDetector, letterbox: Letterbox, path: Path) -> None:
    program = _program(model, letterbox)
    with warnings.catch_warnings():
        # torch and torchvision warn about their own functions here.
        warnings.simplefilter("ignore", FutureWarning)
        written = torch.onnx.export(
            program, dynamo=True, input_names=INPUTS, output_names=OUTPUTS, verbose=False
        )
    assert written is not None
    written.save(path, external_data=False)


def _write_pt2(model: LoadedDetector, letterbox: Letterbox, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.export.save(_program(model, letterbox), path)


def _write_safetensors(model: LoadedDetector, letterbox: Letterbox, path: Path) -> None:
    save_detector(path, model.detector, model.info)


_WRITERS: dict[str, Callable[[LoadedDetector, Letterbox, Path], None]] = {
    "onnx": _write_onnx,
    "pt2": _write_pt2,
    "safetensors": _write_safetensors,
}


def _onnx_reader(path: Path) -> Inference | None:
    if find_spec("onnxruntime") is None:
        import onnx

        onnx.checker.check_model(path, full_check=True)
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(image_1CHW: Tensor, inner_size: Tensor) -> Found:
        given = {"image": image_1CHW.numpy(), "inner_size": inner_size.numpy()}
        boxes, scores, labels = (torch.from_numpy(one) for one in session.run(OUTPUTS, given))
        return boxes, scores, labels

    return lambda boxed: run(boxed.image_1CHW, boxed.inner_size)


def _pt2_reader(path: Path) -> Inference:
    program = torch.export.load(path).module()
    return lambda boxed: program(boxed.image_1CHW, boxed.inner_size)


def _safetensors_reader(path: Path) -> Inference:
    detector = load_detector(path).detector
    return lambda boxed: found_by_detector(detector, boxed)


_READERS: dict[str, Callable[[Path], Inference | None]] = {
    "onnx": _onnx_reader,
    "pt2": _pt2_reader,
    "safetensors": _safetensors_reader,
}
