"""What becomes of a network's batch norm in a detector, whose batches are small."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from raynas.detection.config import DetectorConfig, NormMode
from raynas.errors import InvalidConfig

ENOUGH_IMAGES = 8
"""Pictures of a worker at a time from which on their statistics are good enough.

Source: tensorflow/models object_detection protos/faster_rcnn.proto, batch_norm_trainable.
"""


@dataclass(frozen=True, slots=True)
class NormRule:
    """How batch norm is treated, and why; str() is a line for the user."""

    mode: NormMode
    reason: str

    def __str__(self) -> str:
        return f"{self.mode}, as {self.reason}"


def norm_rule(
    config: DetectorConfig,
    *,
    images_per_worker: int,
    num_workers: int,
    uses_gpus: bool,
    is_pretrained: bool,
) -> NormRule:
    """What `config.norm` means for a training.

    Args:
        images_per_worker: pictures that a worker has in one step.
        is_pretrained: whether the network starts from trained weights.
    Raises:
        InvalidConfig: it is to be synchronised, and there are no GPUs.
    """
    check_synchronised(config, uses_gpus=uses_gpus)
    if config.norm == "synchronised" and num_workers == 1:
        return NormRule("trained", "one worker has all pictures")
    if config.norm != "auto":
        return NormRule(config.norm, f"detector.norm = {config.norm}")
    if not is_pretrained:
        return NormRule("trained", "the network starts from random weights")
    if images_per_worker < ENOUGH_IMAGES:
        pictures = "picture a worker is" if images_per_worker == 1 else "pictures a worker are"
        return NormRule("frozen", f"{images_per_worker} {pictures} fewer than {ENOUGH_IMAGES}")
    return NormRule("trained", f"{images_per_worker} pictures a worker are at least {ENOUGH_IMAGES}")


def check_synchronised(config: DetectorConfig, *, uses_gpus: bool) -> None:
    """InvalidConfig if batch norm is to be synchronised by workers without GPUs."""
    if config.norm == "synchronised" and not uses_gpus:
        raise InvalidConfig(
            "detector.norm = synchronised works only on GPUs, and these workers have none. Set it to auto, "
            "frozen or trained, or give the workers GPUs (workers.gpus=1, or --address of a cluster that has "
            "them)."
        )


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose statistics and weights never change, in training mode neither."""

    def train(self, mode: bool = True) -> FrozenBatchNorm2d:
        return super().train(False)


def set_norm(module: nn.Module, mode: NormMode, *, momentum: float) -> nn.Module:
    """`module` with every batch norm in it frozen, trained or synchronised.

    Names in the state dict stay as they are. Frozen ones stay frozen.

    Args:
        momentum: of those that are trained, in PyTorch's sense.
    """
    if isinstance(module, nn.BatchNorm2d) and not isinstance(module, FrozenBatchNorm2d):
        return _frozen(module) if mode == "frozen" else _trained(module, mode, momentum)
    for name, child in module.named_children():
        setattr(module, name, set_norm(child, mode, momentum=momentum))
    return module


def _frozen(norm: nn.BatchNorm2d) -> FrozenBatchNorm2d:
    frozen = FrozenBatchNorm2d(norm.num_features, norm.eps, norm.momentum)
    for name, tensor in [*norm.named_parameters(), *norm.named_buffers()]:
        setattr(frozen, name, tensor)
    return frozen.requires_grad_(False).eval()


def _trained(norm: nn.BatchNorm2d, mode: NormMode, momentum: float) -> nn.Module:
    norm.momentum = momentum
    if mode == "trained":
        return norm
    return nn.SyncBatchNorm.convert_sync_batchnorm(norm)  # type: ignore[no-untyped-call,no-any-return]
