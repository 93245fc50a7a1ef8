"""The benchmark recipe: a short file that says what is benchmarked; command-line options override it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from raynas.config import validated
from raynas.errors import DataError, UnknownName, UsageError
from raynas.programs.benchmark.config import Columns


class BenchmarkRecipe(Columns):
    """A table, its columns, and how long a search on it lasts; fields are named like the options."""

    table: Path
    """Parquet or CSV file; relative to the folder of the recipe's file."""
    space: str
    """Search space of the table: a registered name or 'package.module:ClassName'."""
    budget: float = Field(gt=0, allow_inf_nan=False)
    """Simulated seconds of each search."""


REQUIRED = ("table", "space", "signal", "result", "cost", "budget")
"""Fields without a default, in the order in which a message asks for them."""


def benchmark_recipe(path: Path | None, overrides: Mapping[str, Any]) -> BenchmarkRecipe:
    """The recipe in `path`, if one is given, with `overrides` laid over it.

    Raises:
        UsageError: the file can't be read, or a field is unknown, out of bounds or missing.
    """
    values = {**({} if path is None else _read(path)), **overrides}
    # Unknown fields come first: the user has to hear of a misspelt field, not that the right one is missing.
    for name in values:
        if name not in BenchmarkRecipe.model_fields:
            raise UnknownName("field of a benchmark recipe", name, BenchmarkRecipe.model_fields)
    missing = [f"--{name.replace('_', '-')}" for name in REQUIRED if name not in values]
    if missing:
        raise UsageError(f"{', '.join(missing)} must be given, as options or in a --recipe file.")
    return validated(BenchmarkRecipe, values)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise DataError(f"The recipe {path} can't be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise DataError(f"The recipe {path} is not valid {kind}: {error}.") from error
    if not isinstance(content, dict):
        raise DataError(f"The recipe {path} must hold fields such as table and space.")
    if isinstance(content.get("table"), str):
        content["table"] = path.parent / content["table"]
    return content
