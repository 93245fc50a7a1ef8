"""How average precision is printed."""

from __future__ import annotations

from collections.abc import Mapping

MOST_CLASSES = 20
"""Classes whose precision is printed; curve.jsonl and MLflow have all."""


def class_lines(ap_of_classes: Mapping[str, float | None]) -> list[str]:
    """The precision of the classes that have boxes to measure by, the best first."""
    known = {name: value for name, value in ap_of_classes.items() if value is not None}
    order = sorted(known, key=lambda name: -known[name])
    more = f" and {len(order) - MOST_CLASSES} more" if len(order) > MOST_CLASSES else ""
    shown = ", ".join(f"{name} {known[name]:.3f}" for name in order[:MOST_CLASSES])
    return [f"AP by class: {shown}{more}"] if known else []


def measured(value: float | None) -> str:
    """A number of COCO's, or '-' where there is nothing to measure."""
    return "-" if value is None else f"{value:.4f}"
