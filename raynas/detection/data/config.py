"""Settings of the data of object detection."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raynas.config import FrozenModel

BoxFormat = Literal["xywh", "xyxy"]


class DetectionDataConfig(FrozenModel):
    """Where pictures and boxes are: COCO's JSON with picture folders, or Parquet files."""

    source: str = Field(min_length=1)
    """A folder, or s3:// or gs://, with annotations/instances_train*.json and instances_val*.json beside the
    folders of pictures, with train/_annotations.coco.json and valid/_annotations.coco.json, or with Parquet
    files that have the columns `image` and `objects`."""

    train_annotations: str | None = Field(None, min_length=1)
    """JSON file of the training boxes, where its name doesn't tell; relative to `source`, or a whole path."""
    train_pictures: str | None = Field(None, min_length=1)
    """Folder of the training pictures, in which the file names of the JSON file start."""
    validation_annotations: str | None = Field(None, min_length=1)
    """JSON file of the validation boxes."""
    validation_pictures: str | None = Field(None, min_length=1)
    """Folder of the validation pictures."""
    box_format: BoxFormat | None = None
    """What the four numbers of a box are: 'xywh' is left, top, width, height; 'xyxy' is left, top, right,
    bottom; in pixels. None means that the layout tells, which the boxes must not contradict."""
    skip_missing: bool = False
    """Whether pictures whose files are missing are left out, with their boxes and a warning."""
