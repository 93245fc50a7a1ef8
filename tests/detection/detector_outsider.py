"""Runs exported detectors where raynas can't be imported: python -I detector_outsider.py FOLDER MODELS

For every NAME.onnx and NAME.pt2 in FOLDER, the code of its card is run on every picture in FOLDER/pictures;
what it finds is written to NAME.FORMAT.npz, by the pictures' names. MODELS is the folder raynas/models, whose
operators stand in for torchvision's where those don't load.
"""

from __future__ import annotations

import functools
import os
import re
import runpy
import sys
import types
from pathlib import Path
from typing import Any

BLOCKED = ("raynas", "search_spaces", "ray", "mlflow")
sys.modules.update(dict.fromkeys(BLOCKED, None))  # type: ignore[arg-type]

import numpy as np  # noqa: E402


def have_operators(models: Path) -> Any:
    """torchvision's operators; returned to be kept alive."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        schemas = runpy.run_path(str(models / "torchvision_import.py"))["_SCHEMAS"]
        kernels = runpy.run_path(str(models / "torchvision_kernels.py"))
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "roi_align"):
            library.define(name + schemas[name])
            library.impl(name, kernels[name], "CPU")
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules["torchvision"] = types.ModuleType("torchvision")
        return library
    return None


def load_once() -> None:
    """Makes torch.export.load keep a file's network: a card loads it anew for every picture."""
    import torch

    load = torch.export.load

    @functools.cache
    def loaded(path: str) -> types.SimpleNamespace:
        network = load(path).module()
        return types.SimpleNamespace(module=lambda: network)

    torch.export.load = loaded  # type: ignore[assignment]


def main() -> None:
    os.chdir(sys.argv[1])
    for path in sorted(Path().glob("*.onnx")) + sorted(Path().glob("*.pt2")):
        library = None
        if path.suffix == ".pt2":
            library = have_operators(Path(sys.argv[2]))
            load_once()
        (code,) = re.findall(r"```python\n(.*?)\n```\n", Path(f"{path}.md").read_text(), re.S)
        found: dict[str, Any] = {}
        for picture in sorted(Path("pictures").iterdir()):
            names: dict[str, Any] = {}
            exec(code.replace("picture.jpg", str(picture)), names)
            found |= {f"{picture.name}/{key}": names[key] for key in ("boxes", "scores", "labels")}
        np.savez(f"{path}.npz", **found)
        if path.suffix == ".onnx":
            assert "torch" not in sys.modules
        del library
    assert not [name for name in BLOCKED if sys.modules[name] is not None]


main()
