"""The complete config of a final training: the fields that `raynas train --set` can override."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from raynas.cells.genotype_field import GenotypeField
from raynas.config import FrozenModel
from raynas.data.config import DEFAULT_LABEL_COLUMN, MAX_IMAGE_SIZE
from raynas.engine.config import TrainWorkerConfig
from raynas.nn import NetworkConfig
from raynas.run.events import Origin
from raynas.tracking.config import TrainTrackingConfig
from raynas.training.config import AugmentationConfig
from raynas.training.final_config import ClassifierSummary, EpochSummary, FinalConfig, LoopConfig


class SourceConfig(FrozenModel):
    """Where the images are."""

    source: str = Field(min_length=1)
    """A folder, a file or a URI."""


class TrainDataConfig(SourceConfig):
    """Where the images are and how they are prepared."""

    source: str = Field("digits", min_length=1)
    """'digits', Parquet files, a CSV file of labels or a folder of class folders. Streamed data can also be a
    URI such as s3://bucket/path.
    """
    validation: str | None = Field(None, min_length=1)
    """Path of the validation images, of any kind that `source` may be, with the same classes. Defaults to the
    validation images in the source itself (val/ beside train/), or else to images that are held out.
    """
    streamed: bool = False
    """false: images are decoded once and kept in memory, for small data sets. true: they are read and decoded
    during training.
    """
    image_size: int | None = Field(None, ge=4, le=MAX_IMAGE_SIZE)
    """Pixels per side. Defaults to 224 for streamed images. In memory, to the median short side of the
    images, and to at most 224.
    """
    first_image_size: int | None = Field(None, ge=4)
    """Streamed only: pixels per side of the first training images, which then grow to `image_size` in equal
    steps. None means that they don't grow.
    """
    size_stages: int = Field(4, ge=2)
    """Streamed only: number of stages of equal length in which training images grow."""
    train_images: int | None = Field(None, ge=1)
    """Number of images to train on, chosen by the seed. Defaults to all that are not for validation."""
    validation_images: int | None = Field(None, ge=1)
    """In memory only: number of validation images. Defaults to all, where the data has its own, and else to a
    tenth that is held out of the training images.
    """
    max_broken: float = Field(0.01, ge=0, le=1)
    """In memory only: largest share of the images that is left out, with a word, because they can't be
    decoded or are too small or too large. Where more are broken, nothing is trained.
    """
    label_column: str = Field(DEFAULT_LABEL_COLUMN, min_length=1)
    """Name of the column of class indexes, integers from 0, in Parquet files."""
    image_column: str | None = Field(None, min_length=1)
    """Name of the column of images in Parquet files. Defaults to image or img, or else to the only column of
    images.
    """
    augmentation: AugmentationConfig = AugmentationConfig()
    """How training images are augmented. Of streamed ones, `flip` alone counts."""
    min_area: float = Field(0.08, gt=0, le=1)
    """Streamed only: smallest area of a random crop, as a fraction of the image's area."""
    crop_fraction: float = Field(0.875, ge=0.01, le=1)
    """Streamed only: side of the central crop of a validation image, as a fraction of its shorter side."""
    color_jitter: float = Field(0.0, ge=0, lt=1)
    """Streamed only: brightness, contrast and saturation change by a random factor within 1 +- this."""
    rand_augment: bool = False
    """Streamed only: apply RandAugment with its paper's two operations of magnitude nine."""
    skip_broken: bool = False
    """Streamed only: leave out shards that can't be read instead of refusing the data set."""
    loader: Literal["processes", "ray"] = "processes"
    """Streamed only: what decodes images: processes beside each worker, or Ray Data tasks on whichever CPUs
    of the cluster the workers leave free.
    """
    processes: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Streamed only: decoding processes or tasks for each worker. 'auto' takes one less than the worker has
    CPUs, and at least one.
    """


class InitialWeightsConfig(FrozenModel):
    """The weights from which a training begins. Whoever starts it gives the source; the rest is recorded."""

    source: str = Field(min_length=1)
    """A file, a folder, or 'timm:NAME', as raynas.models.weights reads it."""
    digest: str = Field("", pattern="^([0-9a-f]{16})?$")
    """16 hex digits that stand for the tensors. If given, other tensors are refused."""
    new: tuple[str, ...] = ()
    """Parts of the network that were made anew, and why."""
    notes: tuple[str, ...] = ()
    """What was chosen and changed when the weights were read."""

    @field_validator("source")
    @classmethod
    def _without_slash(cls, source: str) -> str:
        # A resume compares it, and 'runs/a/' is 'runs/a'.
        return source if ":" in source else str(Path(source))


class AnyTrainConfig(FrozenModel):
    """What the final training of any network depends on, whatever it is built of."""

    task: ClassVar[str]
    """What the network learns: classification or detection."""
    summary: ClassVar[type[EpochSummary]]
    """Class of an epoch's summary, one per line of the training's curve."""

    origin: Origin | None = None
    """The run and the child that the cell comes from, or the training that a detector's weights come from.
    None means that there is none.
    """
    data: SourceConfig
    training: LoopConfig = LoopConfig()
    workers: TrainWorkerConfig = TrainWorkerConfig()
    tracking: TrainTrackingConfig = TrainTrackingConfig()
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of the initial weights, the order of images and their augmentation."""
    recipe: str = ""
    """Name of the training recipe, from which every field that was not set comes."""
    run_id: str = ""
    """Identifies the training in MLflow. `prepare_training` draws it; a recipe leaves it empty."""


class BaseTrainConfig(AnyTrainConfig):
    """What the final training of a network of cells depends on, whatever its task."""

    cell: str
    """Name of the cell: a published cell, or where the genotype comes from."""
    genotype: GenotypeField
    """The cells; in JSON as Genotype.to_dict writes them."""
    weights: InitialWeightsConfig | None = None
    """The weights from which the training begins. None means random ones, which follow from `seed`."""
    network: NetworkConfig = NetworkConfig()


class TrainConfig(BaseTrainConfig):
    """Everything that the final training of a classifier depends on."""

    task = "classification"
    summary = ClassifierSummary

    data: TrainDataConfig = TrainDataConfig()
    training: FinalConfig = FinalConfig()
