"""The whole of a final training as one validated value: what `raynas train --set` sets."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import Field

from raynas.config import FrozenModel
from raynas.data.config import MAX_IMAGE_SIZE
from raynas.engine.config import TrainWorkerConfig
from raynas.nn import NetworkConfig
from raynas.run.events import Origin
from raynas.tracking.config import TrainTrackingConfig
from raynas.training.final_config import FinalConfig
from raynas.training.images import AugmentationConfig


class TrainDataConfig(FrozenModel):
    """Where the images are and how they are prepared."""

    source: str = Field("digits", min_length=1)
    """'digits', Parquet files or a folder of class folders; streamed, also a URI such as s3://bucket/path."""
    streamed: bool = False
    """false: decoded once, in memory, for small data sets. true: read and decoded as training goes on."""
    image_size: int | None = Field(None, ge=4, le=MAX_IMAGE_SIZE)
    """Pixels per side. None: streamed, 224; in memory, as the images are."""
    first_image_size: int | None = Field(None, ge=4)
    """Streamed: pixels per side of the first training images; they grow to `image_size` in equal steps. None:
    they don't grow.
    """
    size_stages: int = Field(4, ge=2)
    """Streamed: of equal length, each with larger training images than the one before."""
    validation_images: int | None = Field(None, ge=1)
    """In memory: held out of the training images; None: a tenth."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """In memory."""
    min_area: float = Field(0.08, gt=0, le=1)
    """Streamed: smallest part of an image that is cut out, as a fraction of its area."""
    crop_fraction: float = Field(0.875, ge=0.01, le=1)
    """Streamed: share of a validation image's shorter side that is looked at."""
    color_jitter: float = Field(0.0, ge=0, lt=1)
    """Streamed: brightness, contrast and saturation change by a factor within 1 +- this."""
    rand_augment: bool = False
    """Streamed: RandAugment with its paper's two operations of magnitude nine."""
    skip_broken: bool = False
    """Streamed: leave shards out that can't be read, in place of refusing the data set."""
    loader: Literal["processes", "ray"] = "processes"
    """Streamed: who decodes: processes beside each worker, or Ray Data tasks wherever the cluster has CPUs
    that the workers leave.
    """
    processes: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Streamed: processes or tasks for each worker; 'auto': one less than the worker has CPUs, at least one.
    """


class TrainConfig(FrozenModel):
    """Everything that a final training depends on."""

    cell: str
    """What it is called: a published cell, or where the genotype is from."""
    genotype: dict[str, Any]
    """As Genotype.to_dict writes it."""
    origin: Origin | None = None
    """The run and the child that the cell is from; None: it is from no run."""
    network: NetworkConfig = NetworkConfig()
    data: TrainDataConfig = TrainDataConfig()
    training: FinalConfig = FinalConfig()
    workers: TrainWorkerConfig = TrainWorkerConfig()
    tracking: TrainTrackingConfig = TrainTrackingConfig()
    seed: int = Field(0, ge=0, lt=2**31)
    """Of weights, order of images and augmentation."""
    recipe: str = ""
    """Where what was not set came from."""
    run_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    """By which the training is found again in MLflow."""
