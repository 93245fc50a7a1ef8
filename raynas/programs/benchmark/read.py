"""Reads a Parquet or CSV file into an ArchTable, and checks every row before anything is simulated."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from raynas.cells.space import SearchSpace
from raynas.errors import DataError, InvalidGenotype, UnknownName, did_you_mean
from raynas.programs.benchmark.config import Columns
from raynas.programs.benchmark.table import ArchTable, Naming, Row, name_in_table
from raynas.registry import naming_own_class

_ARCH_ID = re.compile(r"[0-9a-f]{12}")
_SHOWN = 60


def read_table(path: Path, space: SearchSpace, columns: Columns) -> ArchTable:
    """Reads the table in `path`, whose name ends in .parquet or .csv.

    Accuracies may be fractions or percent, but one or the other throughout a column.

    Raises:
        DataError: the file can't be read, a value is missing, not a number or out of bounds, or an
            architecture occurs twice.
        UnknownName: a column doesn't exist; suggests the nearest.
        InvalidGenotype: a row's architecture isn't in `space`; names the row.
    """
    content = _read_columns(path, [columns.arch_column, columns.signal, columns.result, columns.cost])
    texts = _texts(path, content, columns.arch_column)
    signals = _accuracies(path, content, columns.signal)
    results = _accuracies(path, content, columns.result)
    costs = _costs(path, content, columns.cost) * columns.cost_scale
    naming: Naming = "arch_id" if all(map(_ARCH_ID.fullmatch, texts)) else "text"
    names = _names(f"{path}, column {columns.arch_column!r}", space, texts, naming)
    values = zip(itertools.count(), names, signals.tolist(), results.tolist(), costs.tolist(), strict=False)
    return ArchTable(space, naming, _by_name(path, (Row(*row) for row in values)))


def _by_name(path: Path, rows: Iterable[Row]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for row in rows:
        twin = found.setdefault(row.name, row)
        if twin is not row:
            raise DataError(
                f"{path}: rows {twin.index} and {row.index} are the same architecture, "
                f"{_shortened(row.name)}. Keep one row of each, such as the mean over its trainings."
            )
    return found


def _read_columns(path: Path, names: Sequence[str]) -> Any:
    read = {".parquet": _read_parquet, ".csv": _read_csv}.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path} is no table: its name must end in .parquet or .csv.")
    if not path.is_file():
        raise DataError(f"There is no table {path}.{did_you_mean(path.name, _tables_beside(path))}")
    try:
        content = read(path, list(dict.fromkeys(names)))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} can't be read: {_first_line(error)}.") from error
    if content.num_rows == 0:
        raise DataError(f"{path} has no rows.")
    return content


def _tables_beside(path: Path) -> list[str]:
    tables = (".parquet", ".csv")
    return [file.name for file in path.parent.glob("*") if file.suffix.lower() in tables]


def _read_parquet(path: Path, names: list[str]) -> Any:
    with pq.ParquetFile(path) as file:
        _check_columns(path, names, file.schema_arrow.names)
        return file.read(columns=names)


def _read_csv(path: Path, names: list[str]) -> Any:
    content = pyarrow.csv.read_csv(path)
    _check_columns(path, names, content.column_names)
    return content.select(names)


def _check_columns(path: Path, wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            raise UnknownName(f"column of {path}", name, known)
        if list(known).count(name) > 1:
            raise DataError(f"{path}: the column {name!r} exists {list(known).count(name)} times.")


def _texts(path: Path, content: Any, name: str) -> list[str]:
    column = content[name]
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise DataError(f"{path}: the column {name!r} holds {column.type}, not architectures as text.")
    texts: list[str | None] = column.to_pylist()
    for index, text in enumerate(texts):
        if not text:
            raise DataError(f"{path}: row {index} has no architecture in column {name!r}.")
    return [str(text) for text in texts]


def _names(where: str, space: SearchSpace, texts: list[str], naming: Naming) -> Iterator[str]:
    """The name of each row's architecture; an arch_id can't be decoded, and so isn't checked."""
    if naming == "arch_id":
        yield from texts
        return
    for index, text in enumerate(texts):
        # A genotype's JSON is accepted in every space, also if the space's tables use names of their own.
        is_json, problem = text.lstrip().startswith("{"), None
        with naming_own_class("from_text", space, note=f"It was called for {where}, row {index}."):
            try:
                genotype = SearchSpace.from_text(space, text) if is_json else space.from_text(text)
                space.encode(genotype)
            except ValueError as error:
                problem = error
        if problem is not None:
            raise InvalidGenotype(f"{where}, row {index}: {problem}") from problem
        yield name_in_table(space, genotype, naming)


def _accuracies(path: Path, content: Any, name: str) -> NDArray[np.float64]:
    """The accuracies of a column, as fractions."""
    values = _numbers(path, content, name)
    highest = values.max()
    if values.min() < 0 or highest > 100:
        worst = int(values.argmax() if highest > 100 else values.argmin())
        raise DataError(
            f"{path}: {name!r} is {values[worst]:g} in row {worst}; an accuracy is a fraction in 0..1 or a "
            "percentage in 0..100."
        )
    return values / 100 if highest > 1 else values


def _costs(path: Path, content: Any, name: str) -> NDArray[np.float64]:
    values = _numbers(path, content, name)
    if values.min() <= 0:
        row = int(values.argmin())
        raise DataError(f"{path}: {name!r} is {values[row]:g} in row {row}; training must take some seconds.")
    return values


def _numbers(path: Path, content: Any, name: str) -> NDArray[np.float64]:
    column = content[name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise DataError(f"{path}: the column {name!r} holds {column.type}, not numbers.")
    values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    is_bad = ~np.isfinite(values)
    if is_bad.any():
        raise DataError(
            f"{path}: {name!r} is missing, NaN or infinite in {int(is_bad.sum()):,} of {len(values):,} rows, "
            f"first in row {int(is_bad.argmax())}. Remove those rows from the table."
        )
    return values


def _shortened(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
