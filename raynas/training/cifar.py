"""The final CIFAR-10 training of NASNet's authors, in numbers. The search recipe and the training recipe that
are called cifar_final share them; their configs have different fields.

Source: tensorflow/models slim nasnet.py, cifar_config and its notes: batches of 32, a learning rate of 0.025
with one cosine, 600 epochs, auxiliary weight 0.4, gradient norm 5, weight decay 5e-4. Cutout as in Zoph et
al. 2018, table 1; its size of 16, half of the image's side, is from DeVries & Taylor (arXiv 1708.04552).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raynas.data.config import uses_digits

CIFAR_EPOCHS = 600
CIFAR_BATCH_SIZE = 32
CIFAR_LEARNING_RATE = 0.025
CIFAR_WEIGHT_DECAY = 5e-4
CIFAR_GRADIENT_CLIP = 5.0
CIFAR_AUXILIARY_WEIGHT = 0.4
# A fraction of the side, so that it suits images of other sizes too.
CIFAR_CUTOUT = 0.5

# Images of 8x8 pixels leave room for one reduction, and a mirrored digit is none.
DIGITS_NETWORK = {"num_reductions": 1}
DIGITS_AUGMENTATION = {"flip": False}


def final_network(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of NetworkConfig that the data of `settings` changes."""
    return dict(DIGITS_NETWORK) if uses_digits(settings) else {}


def final_augmentation(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of AugmentationConfig for the data of `settings`."""
    return {"cutout": CIFAR_CUTOUT} | (DIGITS_AUGMENTATION if uses_digits(settings) else {})
