"""Runs exported networks where raynas can't be imported: python -I outsider.py FOLDER

For every NAME.onnx and NAME.pt2 in a folder of FOLDER: NAME.FORMAT.npz beside it gets the logits of the first
1, 7 and all images of images.npy, and, where there is a picture.jpg, what the code in the card gives for it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

BLOCKED = ("raynas", "search_spaces", "ray", "mlflow")
sys.modules.update(dict.fromkeys(BLOCKED, None))  # type: ignore[arg-type]

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Images to logits."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path)
        return lambda images: session.run(None, {"images": images})[0]
    network = torch.export.load(path).module()
    return lambda images: network(torch.from_numpy(images)).detach().numpy()


def run_card(path: Path) -> np.ndarray:
    (code,) = re.findall(r"```python\n(.*?)```", path.read_text(), re.S)
    names: dict[str, Any] = {}
    exec(code, names)
    logits: np.ndarray = names["logits"]
    return logits


def main() -> None:
    os.chdir(sys.argv[1])
    for path in sorted(Path().glob("*/*.onnx")) + sorted(Path().glob("*/*.pt2")):
        images, run = np.load(path.with_name("images.npy")), load(path)
        logits: dict[str, Any] = {str(number): run(images[:number]) for number in (1, 7, len(images))}
        if path.with_name("picture.jpg").exists():
            os.chdir(path.parent)
            logits["card"] = run_card(Path(f"{path.name}.md"))
            os.chdir("..")
        np.savez(f"{path}.npz", **logits)
    assert not [name for name in BLOCKED if sys.modules[name] is not None]


main()
