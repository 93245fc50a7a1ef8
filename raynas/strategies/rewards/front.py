"""The Pareto front of accuracy against a cost, and the hypervolume below it. Pure Python.

A point is (cost, accuracy), with the cost as a share of the worst cost of interest. Points of interest lie in
the unit square; further left and higher up is better. The hypervolume (Zitzler and Thiele 1998) is the area
of the square that is dominated by some point.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator

FrontPoint = tuple[float, float]
"""(cost / worst cost, accuracy)."""


class Front:
    """A set of points none of which is as good as another in both coordinates."""

    def __init__(self, points: Iterable[FrontPoint] = ()) -> None:
        self.points: list[FrontPoint] = []
        """Sorted by cost, and therefore by accuracy; all costs below 1 and accuracies above 0."""
        for point in points:
            self.add(point)

    def __contains__(self, point: FrontPoint) -> bool:
        # Equal floats are found again because the front and the caller compute a point by the same division.
        index = bisect.bisect_left(self.points, point)
        return index < len(self.points) and self.points[index] == point

    def add(self, point: FrontPoint) -> None:
        """Adds `point` unless it is covered, and removes the points that it covers."""
        if self.covers(point):
            return
        # The points are sorted in both coordinates, so those that the new one covers lie side by side: they
        # cost as much or more, up to the first that is more accurate.
        first = bisect.bisect_left(self.points, (point[0], -math.inf))
        last = first
        while last < len(self.points) and self.points[last][1] <= point[1]:
            last += 1
        self.points[first:last] = [point]

    def covers(self, point: FrontPoint) -> bool:
        """Whether `point` adds nothing: it is out of bounds, or some point is as good in both coordinates."""
        cost, accuracy = point
        if cost >= 1.0 or accuracy <= 0.0:
            return True
        # Of the points that cost as much or less, the last is the most accurate.
        index = bisect.bisect_right(self.points, (cost, math.inf))
        return index > 0 and self.points[index - 1][1] >= accuracy

    def hypervolume(self) -> float:
        """Area of the unit square that is dominated, in [0, 1]."""
        # A staircase: from each point's cost to the next one's, the area is as high as the point's accuracy.
        steps = itertools.pairwise([*self.points, (1.0, 0.0)])
        return math.fsum((following - cost) * accuracy for (cost, accuracy), (following, _) in steps)

    def improvement(self, point: FrontPoint) -> float:
        """The hypervolume that `point` would add, or minus its distance to where it would add some.

        Source: the uncrowded hypervolume improvement of Toure, Hansen, Auger and Brockhoff 2019
        (arXiv 1904.08823), definition 1.
        """
        if self.covers(point):
            # Subtracted from 0.0, because the minus sign alone would turn a distance of 0.0 into -0.0.
            return 0.0 - min(_distance(point, corner) for corner in self._corners())
        return math.fsum(self._added(point))

    def _added(self, point: FrontPoint) -> Iterator[float]:
        """Areas of the vertical strips, from left to right, that only `point` dominates."""
        left, accuracy = point
        index = bisect.bisect_right(self.points, (left, math.inf))
        height = self.points[index - 1][1] if index else 0.0
        # The last entry is the right edge of the square, where every strip ends.
        for cost, next_height in [*self.points[index:], (1.0, math.inf)]:
            yield (cost - left) * (accuracy - height)
            left, height = cost, next_height
            if height >= accuracy:
                return

    def _corners(self) -> Iterator[FrontPoint]:
        """Inner corners of the front: any point further left and higher than a corner is not dominated."""
        height = 0.0
        for cost, accuracy in self.points:
            yield cost, height
            height = accuracy
        yield 1.0, height


def _distance(point: FrontPoint, corner: FrontPoint) -> float:
    return math.hypot(max(point[0] - corner[0], 0.0), max(corner[1] - point[1], 0.0))
