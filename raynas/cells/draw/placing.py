"""Where the slots of each row stand: few crossings first, then short lines, then straight lanes.

Barycentre sweeps in the manner of Sugiyama et al. 1981; every placement is the exact least-squares one under
the minimal distances (pool adjacent violators).
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
"""How much more than a block a lane insists on its wish."""

Rows = list[list[Slot]]
Arrangement = list[list[tuple[Slot, int]]]


def place(rows: Rows) -> None:
    """Order each row in place and set x and side of its slots; inputs and outputs keep their order."""
    inputs = rows[0]
    rows[0] = [slot for slot in inputs if slot.users] or inputs
    for row in rows:
        _separate(row, [0.0] * len(row), SOFT)
    _order(rows)
    _smooth(rows)
    _straighten(rows)
    _tuck_in(inputs)
    rows[0] = inputs


def _order(rows: Rows) -> None:
    """Sweep up and down, and keep the first of the arrangements with the fewest crossings."""
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
        _separate(row, [slot.x for slot in row], SOFT)


def _sweep(rows: Rows) -> None:
    """Sort each row by where its users stand, from the top, then by where its sources stand, from below."""
    for row in reversed(rows[1:-1]):
        _reorder(row, [_wish(slot, uses_sources=False) for slot in row])
    _separate(rows[0], [_wish(slot) for slot in rows[0]], SOFT)
    for row in rows[1:]:
        wishes = [_wish(slot, uses_users=False) for slot in row]
        if row[0].output is not None:
            _separate(row, wishes, SOFT)
        else:
            _reorder(row, wishes)
        for slot in row:
            if slot.is_flexible:
                slot.side = -1 if slot.sources[0][0].x > slot.sources[1][0].x else 1


def _reorder(row: list[Slot], wishes: list[float]) -> None:
    order = sorted(range(len(row)), key=wishes.__getitem__)
    row[:] = [row[index] for index in order]
    _separate(row, [wishes[index] for index in order], SOFT)


def _wish(slot: Slot, *, uses_sources: bool = True, uses_users: bool = True) -> float:
    """The mean of the slot's neighbours; where it stands, if it has none."""
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
    for row in chain(*[(*rows, *reversed(rows))] * SMOOTHING_ROUNDS):
        _separate(row, [_wish(slot) for slot in row], SOFT)


def _straighten(rows: Rows) -> None:
    """Give all lanes of a state one x as far as possible, then let the inputs follow."""
    for _ in range(STRAIGHTENING_ROUNDS):
        lane_x = _mean_lane_x(rows)
        for row in rows:
            _separate(row, [lane_x[slot.state] if slot.is_lane else _wish(slot) for slot in row], STIFF)
    for row in rows[2:]:
        _separate(row, [_straight_on(slot) for slot in row], STIFF)
    _separate(rows[0], [_wish(slot) for slot in rows[0]], STIFF)


def _mean_lane_x(rows: Rows) -> dict[int, float]:
    xs: dict[int, list[float]] = {}
    for slot in chain(*rows):
        if slot.is_lane:
            xs.setdefault(slot.state, []).append(slot.x)
    return {state: sum(values) / len(values) for state, values in xs.items()}


def _straight_on(slot: Slot) -> float:
    """Above the state's lane in the row below, if there is one."""
    return slot.sources[0][0].x if slot.is_lane and slot.sources[0][0].is_lane else slot.x


def _tuck_in(inputs: list[Slot]) -> None:
    """Put the inputs that nothing uses right beside the others."""
    used = [index for index, slot in enumerate(inputs) if slot.users]
    if not used:
        return
    wishes = []
    for index, slot in enumerate(inputs):
        nearest = min(used, key=lambda other: abs(other - index))
        wishes.append(inputs[nearest].x + (index - nearest) * (2 * slot.half_width + SPACING))
    _separate(inputs, wishes, SOFT)


def _separate(row: list[Slot], wishes: list[float], lane_weight: float) -> None:
    """Put each slot as near to its wish as order and minimal distances allow."""
    pools: list[tuple[float, float, int]] = []
    shifts: list[float] = []
    shift = -float(row[0].half_width)
    for slot, wish in zip(row, wishes, strict=True):
        shift += slot.half_width
        shifts.append(shift)
        mean, weight, count = wish - shift, lane_weight if slot.is_lane else 1.0, 1
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
        ends = [(source.x, slot.port_x(port)) for slot in row for source, port in slot.sources]
        seen: list[float] = []
        for _, end in sorted(ends):
            crossings += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return crossings
