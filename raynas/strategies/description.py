"""What a Gaussian process sees of an architecture: sets of features, so that distances are counts.

Three views: the choices that were made, the paths through both cells, and the operations of both cells. The
distance of two architectures in a view is the number of features that one of them has alone. A count of n is
the n features 1 to n, which makes the distance of two counts their difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from raynas.cells.paths import operation_counts, path_counts
from raynas.cells.space import Actions, SearchSpace

Features = list[Hashable]
"""A set, each feature once."""
Describe = Callable[[Actions], tuple[Features, ...]]
"""Gives the views of an architecture, always equally many in the same order."""
Distances = NDArray[np.float64]
Numbers = NDArray[np.int64]
"""A set of features, by the numbers of their columns."""

MAX_KEPT = 4096
"""Number of descriptions that are kept."""
MAX_DENSE = 512
"""Number of columns up to which dense products are quicker; they are the same whole numbers."""
HIGHEST_COUNT = 8
"""Higher counts are taken for this one; only cells of many blocks have them."""


def describe_cells(space: SearchSpace) -> Describe:
    """Describes architectures of `space` by choices, paths and operations."""

    # A mutation often leaves one of both cells as it was.
    paths = lru_cache(MAX_KEPT)(lambda cell, kind: _unary(path_counts(cell), kind))
    operations = lru_cache(MAX_KEPT)(lambda cell, kind: _unary(operation_counts(cell), kind))

    def describe(actions: Actions) -> tuple[Features, ...]:
        genotype = space.decode(actions)
        normal, reduction = genotype.normal, genotype.reduction
        return (
            list(enumerate(actions)),
            paths(normal, "normal") + paths(reduction, "reduction"),
            operations(normal, "normal") + operations(reduction, "reduction"),
        )

    return describe


def _unary(counts: Counter[Any], kind: str) -> Features:
    return [
        (kind, item, number) for item, count in counts.items() for number in range(min(count, HIGHEST_COUNT))
    ]


class Describer:
    """Describes each architecture once, and numbers the features of each view.

    Shapes: V views, N and P architectures. Distances are whole numbers, hence the same to the bit in whatever
    order architectures are described.
    """

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._columns: list[dict[Hashable, int]] = []
        self._described: dict[Actions, list[Numbers]] = {}

    def distances(self, one_N: Sequence[Actions], other_P: Sequence[Actions]) -> Distances:
        """The distances in each view: V x N x P."""
        if len(self._described) >= MAX_KEPT:
            # Together with the numbers of their features, so that neither grows in a long search.
            self._described, self._columns = {}, []
        described_N = [self._views(actions) for actions in one_N]
        described_P = [self._views(actions) for actions in other_P]
        return np.stack(
            [
                _differences(list(one), list(other), len(columns))
                for one, other, columns in zip(
                    zip(*described_N, strict=True),
                    zip(*described_P, strict=True),
                    self._columns,
                    strict=True,
                )
            ]
        )

    def _views(self, actions: Actions) -> list[Numbers]:
        if actions not in self._described:
            views = self._describe(actions)
            self._columns = self._columns or [{} for _ in views]
            self._described[actions] = [
                np.array([columns.setdefault(feature, len(columns)) for feature in view], dtype=np.int64)
                for view, columns in zip(views, self._columns, strict=True)
            ]
        return self._described[actions]


def _differences(one_N: list[Numbers], other_P: list[Numbers], num_columns: int) -> Distances:
    """Number of features that one of both has alone: N x P."""
    one, other = _matrix(one_N, num_columns), _matrix(other_P, num_columns)
    is_small = num_columns <= MAX_DENSE
    common_NP = one.toarray() @ other.toarray().T if is_small else (one @ other.T).toarray()
    size_N, size_P = np.array([*map(len, one_N)]), np.array([*map(len, other_P)])
    differences: Distances = size_N[:, None] + size_P - 2.0 * common_NP
    return differences


def _matrix(rows: list[Numbers], num_columns: int) -> Any:
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.concatenate(rows)
    return csr_array((np.ones(len(columns)), columns, starts), (len(rows), num_columns))
