"""Makes torchvision work where PyTorch has no CUDA.

torchvision's published wheel is compiled for CUDA. With a CPU build of PyTorch its compiled part can't be
loaded: importing the package fails when it registers shape functions for operators that don't exist
(pytorch/vision issues 9077 and 9085), nms refuses, and roi_align takes a C++ compiler and a minute. The
operators that object detection needs are therefore registered from Python, and torchvision is told that it
has them. decode_jpeg and the like stay missing.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_SCHEMAS = {
    "nms": _NMS,
    "qnms": _NMS,
    "roi_align": (
        "(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    ),
    "_roi_align_backward": (
        "(Tensor grad, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
        "SymInt batch_size, SymInt channels, SymInt height, SymInt width, int sampling_ratio, bool aligned) "
        "-> Tensor"
    ),
}
"""The operators' declarations in torchvision's compiled part. qnms, for quantised boxes, is declared only."""


_libraries: list[torch.library.Library] = []
"""Kept alive here, because operators vanish when their library is garbage-collected."""


@functools.cache
def load_torchvision() -> Any:
    """The package torchvision, with nms and roi_align.

    Raises:
        ImportError: it is not installed, or fits another version of PyTorch.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'torchvision'", name="torchvision")
    if _loads_compiled_part(Path(spec.origin).parent):
        return importlib.import_module("torchvision")
    _register_kernels()
    torchvision = importlib.import_module("torchvision")
    _register_derivatives(torchvision)
    for name in ("torchvision.extension", "torchvision.ops.roi_align"):
        sys.modules[name]._has_ops = _has_ops  # type: ignore[attr-defined]
    return torchvision


def has_compiled_operators() -> bool:
    """Whether torchvision's own operators were loaded, instead of those from Python."""
    load_torchvision()
    return not _libraries


def _has_ops() -> bool:
    # A function, as TorchScript, which the older ONNX exporter uses, can't compile a lambda.
    return True


def _loads_compiled_part(package: Path) -> bool:
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        library = package / f"_C{suffix}"
        if library.is_file():
            try:
                torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
            except OSError:
                return False
            return True
    return False


def _register_kernels() -> None:
    # Here: most of those who import torchvision compute no boxes.
    from raynas.models import torchvision_kernels as kernels

    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name, schema in _SCHEMAS.items():
        library.define(name + schema)  # type: ignore[no-untyped-call]
    library.impl("nms", kernels.nms, "CPU")  # type: ignore[no-untyped-call]
    library.impl("roi_align", kernels.roi_align, "CPU")  # type: ignore[no-untyped-call]
    library.impl("_roi_align_backward", kernels.roi_align_backward, "CPU")  # type: ignore[no-untyped-call]
    _libraries.append(library)


def _register_derivatives(torchvision: ModuleType) -> None:
    """What torchvision registers itself if its compiled operators are there."""
    shapes, autograd = torchvision._meta_registrations, torchvision._autograd_registrations
    torch.library.register_fake("torchvision::roi_align", shapes.meta_roi_align)
    torch.library.register_fake("torchvision::_roi_align_backward", shapes.meta_roi_align_backward)
    torch.library.register_autograd(
        "torchvision::roi_align",
        autograd._roi_align_backward,
        setup_context=autograd._roi_align_setup_context,
    )
    torch.library.register_autograd(
        "torchvision::_roi_align_backward", autograd._no_double_backward("roi_align")
    )
    autocast = torch.library.Library("torchvision", "IMPL")  # type: ignore[no-untyped-call]
    autocast.impl("nms", autograd._autocast_nms, "AutocastCPU")  # type: ignore[no-untyped-call]
    autocast.impl("roi_align", autograd._autocast_roi_align, "AutocastCPU")  # type: ignore[no-untyped-call]
    _libraries.append(autocast)
