"""A trained network that takes uint8 images of any size and returns probabilities.

MLflow loads it through `_load_pyfunc` in the user's own process. It is therefore not in raynas.tracking,
whose import changes MLflow's settings.
"""

# Shapes: N images, H x W pixels, C channels, K classes.

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from raynas.models.folder import LoadedModel, load_model
from raynas.models.preprocess import as_picture, check_images

BATCH_SIZE = 64
"""Images per forward pass."""


class Classifier:
    """A network behind the preprocessing that its model.json describes.

    Attributes:
        info: the network's description; `info.classes` has the names of the K classes, if they are known.
    """

    def __init__(self, model: LoadedModel) -> None:
        self.info = model.info
        self._network = model.network.eval()

    @torch.no_grad()
    def predict(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities [N, K] in the order of `info.classes`.

        Args:
            images_NHWC: RGB (C = 3) or grey (C = 1) images of any height and width; they are converted to
                what the network was trained with.
        Raises:
            UsageError: the images have another type or shape.
        """
        check_images(images_NHWC)
        probabilities_NK = np.empty((len(images_NHWC), self.info.num_classes), np.float32)
        for start in range(0, len(images_NHWC), BATCH_SIZE):
            pictures = [as_picture(image_HWC) for image_HWC in images_NHWC[start : start + BATCH_SIZE]]
            images_NCHW = torch.stack([self.info.preprocessing(picture) for picture in pictures])
            logits_NK = self._network(images_NCHW)
            probabilities_NK[start : start + BATCH_SIZE] = logits_NK.softmax(dim=1).numpy()
        return probabilities_NK


def _load_pyfunc(path: str) -> Classifier:
    """Called by `mlflow.pyfunc.load_model` with the folder of a registered model."""
    return Classifier(load_model(Path(path)))
