"""A trained detector that takes uint8 pictures of any size and returns a table of what it found.

MLflow loads it through `_load_pyfunc` in the user's own process. It is therefore not in raynas.tracking,
whose import changes MLflow's settings.
"""

# Shapes: N images, H x W pixels, C channels, D detections.

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raynas.detection.folder import LoadedDetector, load_detector
from raynas.models.preprocess import as_picture, check_images

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "picture": "int64",
    "x1": "float32",
    "y1": "float32",
    "x2": "float32",
    "y2": "float32",
    "score": "float32",
    "label": "int64",
    "class": "str",
}
"""Columns of the table and their types. `picture` counts the pictures from 0 and `label` the classes from 1;
x1, y1, x2, y2 are left, top, right and bottom in pixels of the picture, and `class` is the label's name.
"""


class Predictor:
    """A detector with the names of its classes.

    Attributes:
        info: the detector's description.
    """

    def __init__(self, model: LoadedDetector) -> None:
        self.info = model.info
        self._detector = model.detector.eval()

    def predict(self, images_NHWC: NDArray[np.uint8]) -> pd.DataFrame:
        """A row for each detection, with the columns of COLUMNS; a picture's best come first.

        Args:
            images_NHWC: RGB (C = 3) or grey (C = 1) pictures of one size; they are converted to what the
                detector was trained with.
        Raises:
            UsageError: the pictures have another type or shape.
        """
        import pandas as pd

        check_images(images_NHWC)
        found = [self._found(number, image_HWC) for number, image_HWC in enumerate(images_NHWC)]
        table = {name: [value for part in found for value in part[name]] for name in COLUMNS}
        return pd.DataFrame(table).astype({**COLUMNS, "class": "object"})

    @torch.no_grad()
    def _found(self, number: int, image_HWC: NDArray[np.uint8]) -> dict[str, list[Any]]:
        (output,) = self._detector([picture_tensor(image_HWC, num_channels=len(self.info.mean))])
        labels = output["labels"].tolist()
        corners = dict(zip(("x1", "y1", "x2", "y2"), output["boxes"].T.tolist(), strict=True))
        return {
            "picture": [number] * len(labels),
            **corners,
            "score": output["scores"].tolist(),
            "label": labels,
            "class": [self.info.classes[label - 1] for label in labels],
        }


def picture_tensor(image_HWC: NDArray[np.uint8], *, num_channels: int) -> Tensor:
    """Pixels in grey or colour as float (num_channels, H, W) in [0, 1], as detectors take pictures."""
    picture = as_picture(image_HWC).convert("L" if num_channels == 1 else "RGB")
    pixels_HWC = np.array(picture).reshape(*image_HWC.shape[:2], num_channels)
    return torch.from_numpy(pixels_HWC).permute(2, 0, 1).float() / 255


def _load_pyfunc(path: str) -> Predictor:
    """Called by `mlflow.pyfunc.load_model` with the folder of a registered detector."""
    return Predictor(load_detector(Path(path)))
