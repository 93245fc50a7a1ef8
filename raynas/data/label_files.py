"""Refuses class folders whose images have labels of their own: the folders may not be the classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from raynas.errors import DataError


def check_no_label_files(images: Iterable[str], exists: Callable[[str], bool]) -> None:
    """Raises DataError if an image has a .cls file beside it, as in an unpacked WebDataset.

    Args:
        images: paths of some images, such as one per class.
        exists: whether there is a file of a path.
    """
    for image in images:
        label = str(PurePosixPath(image).with_suffix(".cls"))
        if exists(label):
            raise DataError(
                f"The image {image} has a label beside it, {PurePosixPath(label).name}, so that its folder "
                "may not be its class. Convert such data with 'raynas convert', which reads the labels, or "
                "remove the label files to have one class per folder."
            )
