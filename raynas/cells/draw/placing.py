"""Places the slots of each row: few crossings first, then short lines, then straight lanes.

Barycentre sweeps in the manner of Sugiyama et al. 1981. Each placement is the exact least-squares solution
under minimal distances, found by pooling adjacent violators.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from itertools import chain

from raynas.cells.draw.rows import Slot

ORDERING_ROUNDS = 4
SMOOTHING_ROUNDS = 2
STRAIGHTENING_ROUNDS = 3
SPACING = 16
SOFT, STIFF = 4.0, 1000.0
"""Weights of a lane's target, relative to a block's."""

Rows = list[list[Slot]]
Arrangement = list[list[tuple[Slot, int]]]


def place(rows: Rows) -> None:
    """Orders each row in place and sets x and side of its slots; inputs and outputs keep their order."""
    inputs = rows[0]
    # An input that nothing uses has no place of its own to be at, and would only push the others aside.
    # _tuck_in adds it at the end.
    rows[0] = [slot for slot in inputs if slot.users] or inputs
    # The sweeps need an x to start from: here every row stands close together around 0.
    for row in rows:
        _separate(row, [0.0] * len(row), SOFT)
    _order(rows)
    _smooth(rows)
    _straighten(rows)
    _tuck_in(inputs)
    rows[0] = inputs


def _order(rows: Rows) -> None:
    """Sweeps down and up, and keeps the first arrangement with the fewest crossings."""
    # A sweep can also add crossings, so the best order so far is kept, with the sides that operations had in
    # it.
    best: Arrangement = []
    fewest = -1
    for _ in range(ORDERING_ROUNDS):
        _sweep(rows)
        crossings = _num_crossings(rows)
        if fewest < 0 or crossings < fewest:
            best, fewest = [[(slot, slot.side) for slot in row] for row in rows], crossings
        if not crossings:
            break
    for row, arranged in zip(rows, best, strict=True):
        row[:] = [slot for slot, _ in arranged]
        for slot, side in arranged:
            slot.side = side
        # The x are those of the last sweep, perhaps for another order: this makes them ascend in the restored
        # one.
        _separate(row, [slot.x for slot in row], SOFT)


def _sweep(rows: Rows) -> None:
    """Sorts each row by the places of its users, from the top, then by those of its sources, from below."""
    for row in reversed(rows[1:-1]):
        _reorder(row, [_target(slot, uses_sources=False) for slot in row])
    # Inputs, and below the outputs of a chained cell, are moved but not sorted: their order is part of the
    # cell.
    _separate(rows[0], [_target(slot) for slot in rows[0]], SOFT)
    for row in rows[1:]:
        targets = [_target(slot, uses_users=False) for slot in row]
        if row[0].output is not None:
            _separate(row, targets, SOFT)
        else:
            _reorder(row, targets)
        for slot in row:
            if slot.is_flexible:
                # Otherwise the block's two lines would cross right below it.
                slot.side = -1 if slot.sources[0][0].x > slot.sources[1][0].x else 1


def _reorder(row: list[Slot], targets: list[float]) -> None:
    order = sorted(range(len(row)), key=targets.__getitem__)
    row[:] = [row[index] for index in order]
    _separate(row, [targets[index] for index in order], SOFT)


def _target(slot: Slot, *, uses_sources: bool = True, uses_users: bool = True) -> float:
    """The best x for a slot: the mean of its neighbours', or its own if it has none."""
    total, count = 0.0, 0
    if uses_sources:
        for source, _ in slot.sources:
            total += source.x
            count += 1
    if uses_users:
        for user, port in slot.users:
            total += user.x + port * user.side
            count += 1
    return total / count if count else slot.x


def _smooth(rows: Rows) -> None:
    # Up and then down, so that a shift in one row reaches the rows on both sides of it.
    for row in chain(*[(*rows, *reversed(rows))] * SMOOTHING_ROUNDS):
        _separate(row, [_target(slot) for slot in row], SOFT)


def _straighten(rows: Rows) -> None:
    """Gives all lanes of a state the same x as far as possible, then lets the inputs follow."""
    for _ in range(STRAIGHTENING_ROUNDS):
        # Stiff: where a lane and a block want the same place, the block gives way, because a bent lane is
        # seen at once.
        lane_x = _mean_lane_x(rows)
        for row in rows:
            _separate(row, [lane_x[slot.state] if slot.is_lane else _target(slot) for slot in row], STIFF)
    # From below, so that a lane takes over the x that the lane below it has just got. Row 1 is the lowest
    # with lanes.
    for row in rows[2:]:
        _separate(row, [_straight_on(slot) for slot in row], STIFF)
    _separate(rows[0], [_target(slot) for slot in rows[0]], STIFF)


def _mean_lane_x(rows: Rows) -> dict[int, float]:
    xs: dict[int, list[float]] = {}
    for slot in chain(*rows):
        if slot.is_lane:
            xs.setdefault(slot.state, []).append(slot.x)
    return {state: sum(values) / len(values) for state, values in xs.items()}


def _straight_on(slot: Slot) -> float:
    """The x of the state's lane in the row below, if there is one."""
    return slot.sources[0][0].x if slot.is_lane and slot.sources[0][0].is_lane else slot.x


def _tuck_in(inputs: list[Slot]) -> None:
    """Puts the inputs that nothing uses right beside the others."""
    used = [index for index, slot in enumerate(inputs) if slot.users]
    if not used:
        return
    targets = []
    for index, slot in enumerate(inputs):
        nearest = min(used, key=lambda other: abs(other - index))
        targets.append(inputs[nearest].x + (index - nearest) * (2 * slot.half_width + SPACING))
    _separate(inputs, targets, SOFT)


def _separate(row: list[Slot], targets: list[float], lane_weight: float) -> None:
    """Puts each slot as near to its target as the order and minimal distances allow."""
    # Less the minimal distances to its left, a slot's x must not be smaller than its left neighbour's. Slots
    # that would violate this are pooled, and a pool takes the weighted mean of their targets.
    pools: list[tuple[float, float, int]] = []
    shifts: list[float] = []
    shift = -float(row[0].half_width)
    for slot, target in zip(row, targets, strict=True):
        shift += slot.half_width
        shifts.append(shift)
        mean, weight, count = target - shift, lane_weight if slot.is_lane else 1.0, 1
        while pools and pools[-1][0] >= mean:
            other, other_weight, other_count = pools.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight, count = weight + other_weight, count + other_count
        pools.append((mean, weight, count))
        shift += slot.half_width + SPACING
    means = [mean for mean, _, count in pools for _ in range(count)]
    for slot, mean, shift in zip(row, means, shifts, strict=True):
        slot.x = mean + shift


def _num_crossings(rows: Rows) -> int:
    crossings = 0
    for row in rows[1:]:
        # Two lines cross if their ends are in the other order than their starts. With the lines sorted by
        # start, each crosses those before it that end further right, so the crossings are the inversions of
        # the ends.
        ends = [(source.x, slot.port_x(port)) for slot in row for source, port in slot.sources]
        seen: list[float] = []
        for _, end in sorted(ends):
            crossings += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return crossings
