"""The model card of an exported detector: what it is, how well it was measured, and how to run it."""

from __future__ import annotations

import json
from pathlib import PurePath
from urllib.parse import quote

from raynas.detection.complexity import detector_complexity
from raynas.detection.evaluation import NUMBERS
from raynas.detection.folder import DetectorInfo
from raynas.detection.letterbox import Letterbox
from raynas.models.card_text import as_texts, code, exported_with, numbers, table

PREPARE = """\
import numpy as np
from PIL import Image, ImageOps

# Height and width of the image, and of what a picture is made to fit into.
size, fits, stretches = {size}, {fits}, {stretches}
classes = {classes}

def taps(old, new):
    at = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, None)
    low = at.astype(int)
    return low, np.minimum(low + 1, old - 1), (at - low).astype(np.float32)

# Upright, as its EXIF data says.
picture = ImageOps.exif_transpose(Image.open("picture.jpg"))
if picture.mode.startswith(("I", "F")):
    # Of 16-bit grey values, the high byte; Pillow alone would cut them off at 255.
    values = np.asarray(picture)
    assert values.dtype.kind in "iu" and values.min() >= 0 and values.max() < 65536, "unknown range"
    picture = Image.fromarray((values >> 8).astype(np.uint8))
picture = picture.convert("{mode}")
pixels = np.asarray(picture, np.float32).reshape(picture.height, picture.width, {channels}) / 255
scale = min(fits[0] / picture.height, fits[1] / picture.width)
height, width = fits if stretches else (max(int(side * scale), 1) for side in pixels.shape[:2])
# Bilinear, without smoothing before: Pillow would smooth.
low, high, share = taps(picture.height, height)
rows = pixels[low] * (1 - share[:, None, None]) + pixels[high] * share[:, None, None]
low, high, share = taps(picture.width, width)
scaled = rows[:, low] * (1 - share[:, None]) + rows[:, high] * share[:, None]
image = np.zeros((1, {channels}, *size), np.float32)
image[0, :, :height, :width] = scaled.transpose(2, 0, 1)
inner_size = np.array([height, width], np.int64)
"""
"""Code that puts a picture into an image as Letterbox does, without torch; tests compare the two."""
RUN = {
    ".onnx": """\
import onnxruntime

session = onnxruntime.InferenceSession({file!r})
boxes, scores, labels = session.run(
    ["boxes", "scores", "labels"], {{"image": image, "inner_size": inner_size}}
)""",
    ".pt2": """\
import torch
import torchvision  # has the operators nms and roi_align

detector = torch.export.load({file!r}).module()
with torch.no_grad():
    found = detector(torch.from_numpy(image), torch.from_numpy(inner_size))
boxes, scores, labels = (tensor.numpy() for tensor in found)""",
}
"""Code that runs a file, by its suffix; `file` is filled in."""
REPORT = """\
# Back to the picture's own pixels: left, top, right, bottom.
boxes = boxes * ([picture.width / width, picture.height / height] * 2)
for box, score, label in zip(boxes, scores, labels):
    print(f"{{classes[label - 1]}} {{score:.2f}} {{box.round().tolist()}}")"""
WITH_RAYNAS = """\
import numpy as np
from PIL import Image, ImageOps
from raynas.detection.folder import load_detector
from raynas.detection.predictor import Predictor

predictor = Predictor(load_detector({file!r}))
picture = ImageOps.exif_transpose(Image.open("picture.jpg")).convert("RGB")
found = predictor.predict(np.asarray(picture)[None])
print(found)"""


def detector_card(
    info: DetectorInfo, letterbox: Letterbox, *, file: str, difference: str | None = None
) -> str:
    """The card as Markdown, to be written to FILE.md beside `file`; it shows the picture FILE.svg.

    Args:
        letterbox: how pictures become images of the exported size.
        file: name of the exported file.
        difference: how far the file's detections are from the detector's in PyTorch. None means that it was
            not measured.
    """
    sections = [
        f"# {PurePath(file).stem}",
        "An object detector (Faster R-CNN) on the features of a network that raynas found or built; "
        f"architecture {info.genotype.arch_id}.",
        f"![Normal and reduction cell]({quote(file)}.svg)",
        table(_facts(info, letterbox, file, difference)),
        "## Classes",
        "By label from 1, with their ids in the data set:",
        # JSON, because a class name may hold quotes, commas or line breaks.
        code(
            json.dumps([{"name": n, "id": i} for n, i in zip(info.classes, info.class_ids, strict=True)]),
            "json",
        ),
        "## Measured",
        _measured(info),
        "## Run it",
        _how_to_run(file, letterbox),
        code(_snippet(info, letterbox, file), "python"),
        "## Training",
        table(as_texts(info.training)) if info.training else "Nothing is recorded about it.",
        "## Architecture",
        "The cells, as `raynas.Genotype.from_json` reads them:",
        code(info.genotype.to_json(), "json"),
        "How they are stacked (`raynas.NetworkConfig`), and the detector on them "
        "(`raynas.detection.config.DetectorConfig`):",
        code(info.network.model_dump_json(), "json"),
        code(info.detector.model_dump_json(), "json"),
    ]
    return "\n\n".join(sections) + "\n"


def _facts(info: DetectorInfo, letterbox: Letterbox, file: str, difference: str | None) -> dict[str, str]:
    cost = detector_complexity(info.plan, letterbox.image_size).total
    height, width = letterbox.image_size
    detector = info.detector
    facts = {
        "file": file,
        "parameters": f"{cost.parameters:,}",
        "multiply-adds": f"{cost.mult_adds:,} for an image of {height} x {width} pixels",
        "pictures in training": f"shorter side of {', '.join(map(str, detector.sides))} pixels, the longer "
        f"at most {detector.longest_side}",
        "mean": numbers(info.mean),
        "std": numbers(info.std),
        "detections": f"at most {detector.boxes.detections}, with scores above "
        f"{detector.boxes.score_threshold:g}",
        "trained with": f"raynas {info.raynas}",
        "exported with": exported_with(),
    }
    if _runs_without_raynas(file):
        facts |= {
            "input": f"image: float32, 1 x {len(info.mean)} x {height} x {width}, values in [0, 1]; "
            "inner_size: int64, height and width of the picture in the image's upper left corner",
            "output": "boxes: D x 4, left, top, right, bottom in pixels of the image; scores: D; labels: D, "
            "from 1",
            "preprocessing": _scaling(letterbox) + "; the file subtracts mean and divides by std",
            "difference from the detector in PyTorch": difference or "not measured",
        }
    return facts


def _scaling(letterbox: Letterbox) -> str:
    height, width = letterbox.fits
    if letterbox.stretches:
        return f"stretched to {height} x {width} pixels (bilinear, without antialiasing)"
    return (
        f"letterboxed: as large as fits into {height} x {width} pixels (height x width; bilinear, without "
        "antialiasing), in the upper left corner"
    )


def _measured(info: DetectorInfo) -> str:
    known = info.training
    found = {name: known[name] for name in NUMBERS if isinstance(known.get(name), int | float)}
    if not found:
        return "Nothing is recorded."
    text = (
        f"COCO's numbers on the validation pictures of {known.get('data', 'its data set')}, after epoch "
        f"{known.get('epochs', '?')}, in PyTorch; detections with scores above "
        f"{info.detector.boxes.score_threshold:g}. What is missing had nothing to be measured by."
    )
    return f"{text}\n\n{table({name: f'{value:.4f}' for name, value in found.items()})}"


def _runs_without_raynas(file: str) -> bool:
    return PurePath(file).suffix in RUN


def _how_to_run(file: str, letterbox: Letterbox) -> str:
    if not _runs_without_raynas(file):
        return (
            "The file has the weights; raynas builds the detector from the .json file beside it, for "
            "pictures of any size."
        )
    height, width = letterbox.image_size
    size = f"One picture at a time, in an image of {height} x {width} pixels."
    if file.endswith(".onnx"):
        return f"Needs numpy, Pillow and onnxruntime; raynas and PyTorch need not be installed. {size}"
    return (
        "Needs numpy, Pillow, torch and torchvision; raynas need not be installed. torchvision must be built "
        "for the same PyTorch: beside a PyTorch for CPUs alone, that is the one from "
        "https://download.pytorch.org/whl/cpu, as the usual one can't be imported there. With raynas, "
        "`raynas.models.torchvision_import.load_torchvision()` in place of `import torchvision` works with "
        f"either. {size}"
    )


def _snippet(info: DetectorInfo, letterbox: Letterbox, file: str) -> str:
    if not _runs_without_raynas(file):
        return WITH_RAYNAS.format(file=file)
    prepare = PREPARE.format(
        size=letterbox.image_size,
        fits=letterbox.fits,
        stretches=letterbox.stretches,
        classes=list(info.classes),
        mode="L" if len(info.mean) == 1 else "RGB",
        channels=len(info.mean),
    )
    run = RUN[PurePath(file).suffix].format(file=file)
    return f"{prepare}\n{run}\n{REPORT.format()}"
