"""Plans an epoch before any image is read: which rank gets which image in which batch.

The order depends only on the seed, the epoch, the batch size and the number of ranks. It does not depend on
the number of decoding processes, so neither do results.

Quality of the shuffle: the pieces (row groups) are permuted, then every image is moved back by a random
distance of up to `window` images. So a batch holds images of about window / piece size neighbouring pieces.
Images of one class that lie together in a shard stay near each other: shards should be written in random
order, as `raynas convert` does. The files of class folders are permuted one by one, which is a full shuffle.
"""

# Shapes: M images of this rank in this epoch; N images of a piece or a batch.

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from raynas.errors import DataError

Numbers = NDArray[np.int64]


class InPieces(Protocol):
    """Numbered images in pieces that are cheap to read together, such as an ImageSet."""

    @property
    def num_images(self) -> int:
        """Number of images."""

    def pieces(self, rng: np.random.Generator | None) -> list[Numbers]:
        """See ImageSet."""


@dataclass(frozen=True, slots=True)
class Shuffle:
    """How training images are shuffled.

    Args:
        window: images are moved by up to this many places. It is also the largest number of decoded images
            that a rank holds in memory; the average is half of it.
    """

    seed: int
    window: int = 4096


@dataclass(frozen=True, slots=True, eq=False)
class EpochPlan:
    """The images of one rank in one epoch, in batches.

    Args:
        units: numbers of the images to decode together, in the order in which they are needed.
        batches: indexes into the concatenated units, one array per batch.
        positions: number of images that all ranks together have taken after each batch.
    """

    units: list[Numbers]
    batches: list[Numbers]
    positions: list[int]


def plan_epoch(
    images: InPieces,
    *,
    shuffle: Shuffle | None,
    epoch: int,
    batch_size: int,
    rank: int = 0,
    num_ranks: int = 1,
    start: int = 0,
) -> EpochPlan:
    """Plans what is left of an epoch after position `start`.

    Args:
        shuffle: for training: images are shuffled, and all ranks get the same number of full batches. None,
            for validation: every image comes once, in the order of the files, and the last batches may be
            smaller.
        start: a position of the same epoch, from PixelBatch or EpochPlan. With the same number of ranks, the
            batches are those that would have followed. With another number, images of the pieces that were
            being mixed may come twice or not at all.
    Raises:
        DataError: there are not enough images for one batch.
    """
    pieces = images.pieces(None if shuffle is None else np.random.default_rng((shuffle.seed, epoch)))
    share = deal(pieces, num_ranks)[rank]
    numbers_M = np.concatenate(share) if share else np.empty(0, dtype=np.int64)
    places_M = np.arange(len(numbers_M))
    if shuffle is not None:
        rng = np.random.default_rng((shuffle.seed, epoch, rank, num_ranks))
        # A sliding shuffle: sorting by place plus random delay moves no image further than the window.
        places_M = np.argsort(places_M + rng.uniform(0, shuffle.window, len(places_M)), kind="stable")
    sizes = _batch_sizes(
        images.num_images, len(places_M), batch_size, num_ranks, start, drop_last=shuffle is not None
    )
    skipped = start // num_ranks
    ends = skipped + np.cumsum([0, *sizes])
    taken_M = np.zeros(len(numbers_M), dtype=bool)
    taken_M[places_M[skipped : ends[-1]]] = True
    # Indexes among the taken images only, because the others are not decoded.
    renumbered_M = np.cumsum(taken_M) - 1
    return EpochPlan(
        units=_units(share, taken_M),
        batches=[renumbered_M[places_M[begin:end]] for begin, end in itertools.pairwise(ends)],
        positions=[int(end) * num_ranks for end in ends[1:]],
    )


def num_batches(
    num_images: int, *, batch_size: int, num_ranks: int = 1, start: int = 0, drop_last: bool
) -> int:
    """Number of batches of one epoch from `start`, the same on every rank."""
    skipped = start // num_ranks
    if drop_last:
        return max((num_images // num_ranks - skipped) // batch_size, 0)
    return max(-(-(-(-num_images // num_ranks) - skipped) // batch_size), 0)


def deal(pieces: Sequence[Numbers], num_ranks: int) -> list[list[Numbers]]:
    """Gives each piece in turn to the rank with the fewest images; returns the pieces of each rank.

    The last pieces are cut, so that shares differ by one image at most. The first images of all shares are
    those of the first pieces, so that an epoch can be resumed on another number of ranks.
    """
    num_images = sum(len(piece) for piece in pieces)
    quotas = [num_images // num_ranks + (rank < num_images % num_ranks) for rank in range(num_ranks)]
    shares: list[list[Numbers]] = [[] for _ in quotas]
    open_ranks = [(0, rank) for rank, quota in enumerate(quotas) if quota]
    for piece in pieces:
        rest = piece
        while len(rest):
            count, rank = heapq.heappop(open_ranks)
            part, rest = rest[: quotas[rank] - count], rest[quotas[rank] - count :]
            shares[rank].append(part)
            if count + len(part) < quotas[rank]:
                heapq.heappush(open_ranks, (count + len(part), rank))
    return shares


def _batch_sizes(
    num_images: int, share: int, batch_size: int, num_ranks: int, start: int, *, drop_last: bool
) -> list[int]:
    count = num_batches(
        num_images, batch_size=batch_size, num_ranks=num_ranks, start=start, drop_last=drop_last
    )
    if drop_last:
        if count == 0 and start == 0:
            raise DataError(
                f"{num_images:,} training images on {num_ranks} ranks don't make one batch of {batch_size}. "
                "Lower the batch size, or use fewer workers."
            )
        return [batch_size] * count
    # Batches are nearly equal instead of full. Otherwise a rank whose share is one image smaller could have
    # one batch less, and the others would wait for it. (With batches of one image, its last batch is empty.)
    rest = max(share - start // num_ranks, 0)
    return [rest // count + (index < rest % count) for index in range(count)]


def _units(share: Sequence[Numbers], taken_M: NDArray[np.bool_]) -> list[Numbers]:
    ends = np.cumsum([len(piece) for piece in share])
    parts = zip(share, np.split(taken_M, ends[:-1]), strict=True) if share else ()
    return [piece[taken_N] for piece, taken_N in parts if taken_N.any()]
