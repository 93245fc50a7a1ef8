"""Pieces of model cards in Markdown, and the values that every card has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from raynas.config import flattened
from raynas.environment import versions

EXPORT_PACKAGES = ("raynas", "torch", "torchvision", "onnx", "onnxscript")
"""Packages on which an exported file depends."""


def table(rows: Mapping[str, str]) -> str:
    """A table of two columns."""
    lines = [f"| {_cell(key)} | {_cell(value)} |" for key, value in rows.items()]
    return "\n".join(["| what | value |", "|---|---|", *lines])


def code(text: str, language: str) -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"


def numbers(values: tuple[float, ...]) -> str:
    """Numbers with six digits at most."""
    return ", ".join(f"{value:.6g}" for value in values)


def as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Nested values as rows of a table; what is no text is written as JSON."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in flattened(values).items()
    }


def exported_with() -> str:
    """The versions of packages with which a file is exported now."""
    found = versions(EXPORT_PACKAGES)
    python = found.pop("python")
    return ", ".join([*(f"{name} {version}" for name, version in found.items()), f"Python {python}"])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
