"""Training of one network on one or several ranks.

Needs torch, and neither Ray nor MLflow. May import nn, data, child and what is below them.
"""

from raynas.training.child import ChildConfig, train_child
from raynas.training.device import Placement
from raynas.training.images import DeviceImages
from raynas.training.latency import LatencyCheck, LatencyConfig
from raynas.training.trainer import ChildTrainer

__all__ = [
    "ChildConfig",
    "ChildTrainer",
    "DeviceImages",
    "LatencyCheck",
    "LatencyConfig",
    "Placement",
    "train_child",
]
