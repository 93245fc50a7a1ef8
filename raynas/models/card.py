"""The model card of an exported network: what it is, where it comes from, and how to run it."""

from __future__ import annotations

import json
from pathlib import PurePath
from urllib.parse import quote

from raynas.models.card_text import as_texts, code, exported_with, numbers, table
from raynas.models.folder import ModelInfo
from raynas.nn import Complexity

RUN = {
    ".onnx": """\
import onnxruntime

session = onnxruntime.InferenceSession({file!r})
logits = session.run(["logits"], {{"images": images}})[0]""",
    ".pt2": """\
import torch

network = torch.export.load({file!r}).module()
logits = network(torch.from_numpy(images)).detach().numpy()""",
    ".safetensors": """\
import torch
from pathlib import Path
from raynas.models.folder import load_model

network = load_model(Path({file!r})).network
logits = network(torch.from_numpy(images)).detach().numpy()""",
}
"""Code that runs a file, by its suffix; `file` is filled in."""
PREPARE = """\
import numpy as np
from PIL import Image, ImageOps

size, mean, std = {size}, np.float32({mean}), np.float32({std})
# Upright, as its EXIF data says.
picture = ImageOps.exif_transpose(Image.open("picture.jpg"))
if picture.mode.startswith(("I", "F")):
    # Of 16-bit grey values, the high byte; Pillow alone would cut them off at 255.
    values = np.asarray(picture)
    assert values.dtype.kind in "iu" and values.min() >= 0 and values.max() < 65536, "unknown range"
    picture = Image.fromarray((values >> 8).astype(np.uint8))
picture = picture.convert("{mode}")
width, height = (int({shorter} * side / min(picture.size)) for side in picture.size)
picture = picture.resize((width, height), Image.Resampling.{interpolation})
left, top = round((width - size) / 2), round((height - size) / 2)
pixels = np.asarray(picture.crop((left, top, left + size, top + size)), np.float32) / 255
images = ((pixels.reshape(size, size, {channels}) - mean) / std).transpose(2, 0, 1)[None]
"""
"""Code that makes a batch of one from a picture, as models/preprocess.py does, without torch.

tests/data/test_d2_pixels.py compares the two.
"""


def model_card(info: ModelInfo, cost: Complexity, *, file: str, difference: float | None) -> str:
    """The card as Markdown, to be written to FILE.md beside `file`; it shows the picture FILE.svg.

    Args:
        info: what the network is.
        cost: the network's size.
        file: name of the exported file.
        difference: largest difference of a logit from the network in PyTorch, as a fraction of the largest
            logit. None means that it was not measured.
    """
    name = PurePath(file).stem
    sections = [
        f"# {name}",
        f"An image classifier that raynas found or built; architecture {info.genotype.arch_id}.",
        f"![Normal and reduction cell]({quote(file)}.svg)",
        table(_facts(info, cost, file, difference)),
        *_classes(info),
        "## Run it",
        _how_to_run(file),
        code(_snippet(info, file), "python"),
        "## Training",
        table(as_texts(info.training)) if info.training else "Nothing is recorded about it.",
        "## Architecture",
        "The cells, as `raynas.Genotype.from_json` reads them:",
        code(info.genotype.to_json(), "json"),
        "How they are stacked (`raynas.NetworkConfig`):",
        code(info.network.model_dump_json(), "json"),
    ]
    return "\n\n".join(sections) + "\n"


def _facts(info: ModelInfo, cost: Complexity, file: str, difference: float | None) -> dict[str, str]:
    size, channels = info.image_size, info.in_channels
    checked = "not measured" if difference is None else f"{difference:.1e} of the largest logit"
    return {
        "file": file,
        "parameters": f"{cost.parameters:,}",
        "multiply-adds": f"{cost.mult_adds:,}",
        "input": f"float32, N x {channels} x {size} x {size}",
        "output": f"logits, N x {info.num_classes}",
        "preprocessing": f"shorter side to {info.preprocessing.shorter_side} pixels ({info.interpolation}), "
        f"the middle {size} x {size}, values in [0, 1], minus mean, divided by std",
        "mean": numbers(info.mean),
        "std": numbers(info.std),
        "crop fraction": f"{info.crop_fraction:g}",
        "difference from the network in PyTorch": checked,
        "trained with": f"raynas {info.raynas}",
        "exported with": exported_with(),
    }


def _classes(info: ModelInfo) -> list[str]:
    if info.classes is None:
        return []
    # JSON, because a class name may hold quotes, commas or line breaks.
    return ["## Classes", "In the order of the logits:", code(json.dumps(info.classes), "json")]


def _how_to_run(file: str) -> str:
    if PurePath(file).suffix == ".safetensors":
        return "The file has the weights; the network is built by raynas from the .json file beside it."
    packages = "numpy, Pillow and " + ("onnxruntime" if file.endswith(".onnx") else "torch")
    return f"Needs {packages}; raynas need not be installed. Any number of images at a time."


def _snippet(info: ModelInfo, file: str) -> str:
    prepare = PREPARE.format(
        size=info.image_size,
        mean=list(info.mean),
        std=list(info.std),
        mode="L" if info.in_channels == 1 else "RGB",
        shorter=info.preprocessing.shorter_side,
        interpolation=info.interpolation.upper(),
        channels=info.in_channels,
    )
    return f"{prepare}\n{RUN[PurePath(file).suffix].format(file=file)}\nprint(logits[0].argmax())"
