"""Settings of a child's training, which can be read and checked without loading torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from raynas.config import FrozenModel
from raynas.data.classes import are_digits

if TYPE_CHECKING:
    from raynas.data import ImageSplit

Precision = Literal["auto", "float32", "bfloat16"]


class AugmentationConfig(FrozenModel):
    """Augmentation of training images that are in memory. Of streamed images, only `flip` counts."""

    crop_padding: int | None = Field(None, ge=0)
    """Pixels added on each side before a random crop. None means an eighth of the image size, which is 4 at
    32 pixels.
    """
    flip: bool | None = None
    """Whether images are mirrored left to right at random. None means that they are, unless the classes are
    the ten digits.
    """
    cutout: int | float = 0
    """Side of the square that cutout blanks: a fraction of the image's side below 1, or a whole number of
    pixels. 0 turns it off, 0.5 is usual.
    """

    @field_validator("cutout")
    @classmethod
    def _is_a_size(cls, cutout: float) -> float:
        if cutout < 0 or (cutout >= 1 and isinstance(cutout, float)):
            raise ValueError(
                "it must be 0 for none, a fraction of the image's side below 1, such as 0.5, or a whole "
                "number of pixels"
            )
        return cutout

    def padding(self, image_size: int) -> int:
        """Pixels that are added on each side before a random crop."""
        return image_size // 8 if self.crop_padding is None else self.crop_padding

    def cutout_size(self, image_size: int) -> int:
        """Side in pixels of the square that cutout blanks."""
        return self.cutout if isinstance(self.cutout, int) else round(self.cutout * image_size)

    def mirrors(self, class_names: Sequence[str] | None) -> bool:
        """Whether images of these classes are mirrored."""
        return not are_digits(class_names) if self.flip is None else self.flip

    def mirroring(self, class_names: Sequence[str] | None) -> str:
        """Whether and why images of these classes are mirrored, in words."""
        why = ", as the classes are the ten digits" if self.flip is None and are_digits(class_names) else ""
        return f"{'' if self.mirrors(class_names) else 'not '}mirrored{why} (augmentation.flip)"

    def described(self, split: ImageSplit) -> str:
        """What is done to the training images of a split, in words."""
        padding, size = self.padding(split.image_size), self.cutout_size(split.image_size)
        crop = f"random crop after {padding} pixels of padding" if padding else "no random crop"
        cut = f"cutout of {size}x{size} pixels" if size else "no cutout"
        return f"augmentation: {crop}, {self.mirroring(split.class_names)}, {cut}"


class ChildConfig(FrozenModel):
    """How a child is trained."""

    epochs: int = Field(20, ge=1)
    """Full passes over the training split. Zoph et al. 2018, appendix A."""
    batch_size: int = Field(64, ge=1)
    """Images per step, over all ranks."""
    learning_rate: float = Field(0.05, gt=0)
    """Learning rate at the first step; a cosine lowers it to 0 at the last."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Nesterov momentum of SGD."""
    weight_decay: float = Field(5e-4, ge=0)
    """L2 penalty on every parameter."""
    gradient_clip: float = Field(5.0, gt=0)
    """Norm of the whole gradient at which it is clipped."""
    auxiliary_weight: float = Field(0.4, ge=0)
    """Weight of the auxiliary head's loss, where the network has one."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Augmentation of the training images."""
    precision: Precision = "auto"
    """Number format of forward passes. 'auto' is bfloat16 on GPUs that have it, else float32."""


class LatencyConfig(FrozenModel):
    """How a child's latency is measured: a forward pass in evaluation mode, in eager PyTorch.

    It is measured if `limits.latency_ms` or the reward needs it. Everything that runs on the machine at that
    moment, such as other children, affects it: compare latencies only within one run.
    """

    always: bool = False
    """Whether it is measured although nothing needs it, such as for a later `raynas rescore`."""
    batch_size: int = Field(1, ge=1)
    """Images per forward pass."""
    device: Literal["worker", "cpu"] = "worker"
    """'worker' is the device that trains the child; 'cpu' is the CPU, with the worker's number of threads."""
    warmup: int = Field(5, ge=0)
    """Number of passes before the first that counts."""
    repeats: int = Field(30, ge=1)
    """Number of passes that count; the latency is their median."""
