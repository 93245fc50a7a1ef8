"""What every data set must have to be classified: two classes, and a training image for each."""

from __future__ import annotations

from raynas.errors import DataError


def check_classes(
    name: str, *, num_train_images: int, num_classes: int, class_names: tuple[str, ...] | None
) -> None:
    """Raises DataError if there are fewer than two classes, or more classes than training images.

    Args:
        name: what messages call the data set.
    """
    if num_classes < 2:
        names = f" ({', '.join(class_names)})" if class_names else ""
        raise DataError(
            f"{name} has {num_classes} class{names}; classification needs at least 2. Use a data set with "
            "more classes."
        )
    # Also catches absurd labels of data sets without class names, before anything is allocated per class.
    if num_train_images < num_classes:
        raise DataError(
            f"{name} has {num_train_images:,} training images and {num_classes:,} classes, if its labels are "
            "right. Use at least one training image per class, or correct the labels."
        )
