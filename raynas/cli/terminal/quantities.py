"""Counts and durations in a few characters."""

from __future__ import annotations


def short_count(count: int | None) -> str:
    """1234567 as '1.23 M', and None as an empty text."""
    if count is None:
        return ""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def duration(seconds: float) -> str:
    """'2 h 5 min' or '5 min 3 s'."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {int(seconds % 60)} s"
