"""What a benchmark is about: a file of a few lines, the command line's options over it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from raynas.config import FrozenModel, validated
from raynas.errors import DataError, UsageError
from raynas.programs.benchmark.config import Columns


class BenchmarkRecipe(FrozenModel):
    """A table, its columns, and how long a search on it lasts; the same words as on the command line."""

    table: Path
    """Relative to the file in which it is written."""
    space: str
    arch_column: str = "arch"
    signal: str
    result: str
    cost: str
    cost_scale: float = Field(1.0, gt=0, allow_inf_nan=False)
    budget: float = Field(gt=0, allow_inf_nan=False)
    """Simulated seconds."""

    @property
    def columns(self) -> Columns:
        return Columns(
            arch=self.arch_column,
            signal=self.signal,
            result=self.result,
            cost=self.cost,
            cost_scale=self.cost_scale,
        )


def benchmark_recipe(path: Path | None, words: Mapping[str, Any]) -> BenchmarkRecipe:
    """The recipe in `path`, if there is one, with `words` laid over it.

    Raises:
        UsageError: the file can't be read, a field is unknown or out of bounds, or one is given nowhere.
    """
    found = {} if path is None else _read(path)
    given = {**found, **words}
    missing = [
        f"--{name.replace('_', '-')}"
        for name, field in BenchmarkRecipe.model_fields.items()
        if field.is_required() and name not in given
    ]
    if missing:
        # Only once what is there has been looked at: a misspelt field is missing too.
        _refuse_unknown(found)
        raise UsageError(f"{', '.join(missing)} must be given, as options or in a --recipe file.")
    return validated(BenchmarkRecipe, given)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise DataError(f"The recipe {path} can't be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise DataError(f"The recipe {path} is no {kind}: {error}.") from error
    if not isinstance(content, dict):
        raise DataError(f"The recipe {path} holds no fields, such as table and space.")
    if isinstance(content.get("table"), str):
        content["table"] = path.parent / content["table"]
    return content


def _refuse_unknown(found: Mapping[str, Any]) -> None:
    placeholders = {"table": "x", "space": "x", "signal": "x", "result": "x", "cost": "x", "budget": 1.0}
    validated(BenchmarkRecipe, {**placeholders, **found})
