"""Weights from elsewhere: files, and timm's networks, whose names are translated in both directions."""

from raynas.weights.load import load_tensors, load_weights, read_weights
from raynas.weights.timm_names import from_timm, to_timm

__all__ = ["from_timm", "load_tensors", "load_weights", "read_weights", "to_timm"]
