"""What happens to images that can't be decoded: a few are left out, with a word, and many are refused."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from raynas.data.layout import LeftOut
from raynas.errors import DataError

SHOWN = 20
"""Broken images that a refusal lists one by one."""


def check_broken(errors: Sequence[DataError], num_images: int, max_broken: float, name: str) -> None:
    """Raises DataError if too many of a data set's images are broken; the message lists them.

    Args:
        errors: why each of the broken images can't be used, with its name.
        max_broken: the largest share of broken images that is left out.
    """
    if len(errors) <= max_broken * num_images:
        return
    share = len(errors) / num_images
    advice = (
        f" data.max_broken = {max_broken:g} is the largest share of images that is left out, and this is "
        f"{share:.2g}."
    )
    if len(errors) == 1:
        raise DataError(f"{errors[0]}{advice}")
    lines = [f"{error}" for error in itertools.islice(errors, SHOWN)]
    more = len(errors) - len(lines)
    if more:
        lines.append(f"... and {more:,} more.")
    raise DataError(
        f"{len(errors):,} of {num_images:,} images of {name} can't be used.{advice}\n" + "\n".join(lines)
    )


def broken_images(broken: Mapping[int, DataError]) -> LeftOut:
    """The images that are left out because they are broken, as a part of what was found."""
    first = str(next(iter(broken.values()))).removesuffix(" Replace or remove it.")
    return LeftOut(len(broken), "image", "that can't be used", first)
