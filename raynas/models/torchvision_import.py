"""Makes `import torchvision` work where PyTorch has no CUDA.

torchvision's published wheel is compiled for CUDA. With a CPU build of PyTorch its compiled part can't be
loaded, and importing the package fails when it registers shape functions for operators that don't exist
(pytorch/vision issues 9077 and 9085). Declaring the operators is enough for the import: models and transforms
then work, nms and decode_jpeg do not.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
from pathlib import Path

import torch

_SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


_declared: list[torch.library.Library] = []
"""Libraries kept alive here, because their operators vanish when they are garbage-collected."""


@functools.cache
def make_torchvision_importable() -> None:
    """Declares the operators that torchvision's import needs, unless its compiled part can be loaded."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _loads_compiled_part(Path(spec.origin).parent):
        return
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name, schema in _SCHEMAS.items():
        library.define(name + schema)  # type: ignore[no-untyped-call]
    _declared.append(library)


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
