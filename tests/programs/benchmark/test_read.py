"""Reading a table: what is understood, and what is refused with a word on where it is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raynas.errors import DataError, InvalidGenotype, UnknownName, UsageError
from raynas.programs.benchmark import ArchTable, Columns, read_table
from search_spaces.nasbench201 import EXAMPLE
from search_spaces.nasnet import NASNetSpace
from tests.programs.benchmark.small_tables import SPACE, actions_of

COLUMNS = Columns(arch_column="arch", signal="valid", result="test", cost="seconds", cost_scale=0.5)
NAMES = [SPACE.to_text(SPACE.decode(actions_of(number))) for number in range(4)]
CONTENT = {
    "arch": NAMES,
    "valid": [10.0, 20.0, 30.0, 40.0],
    "test": [0.1, 0.2, 0.3, 0.4],
    "seconds": [1, 2, 3, 4],
    "note": ["a", "b", "c", "d"],
}


def write(folder: Path, *, suffix: str = ".parquet", **columns: list[Any]) -> Path:
    path = folder / f"table{suffix}"
    content = pa.table(CONTENT | columns)
    if suffix == ".csv":
        rows = content.to_pylist()
        lines = [",".join(content.column_names)] + [",".join(map(str, row.values())) for row in rows]
        path.write_text("\n".join(lines))
    else:
        pq.write_table(content, path)
    return path


def read(path: Path, columns: Columns = COLUMNS) -> ArchTable:
    return read_table(path, SPACE, columns)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_row_is_found_by_actions_percent_as_fractions_and_costs_scaled(tmp_path, suffix):
    table = read(write(tmp_path, suffix=suffix))
    row = table.find(actions_of(2))
    assert (row.index, row.name, row.signal, row.result, row.cost) == (2, NAMES[2], 0.3, 0.3, 1.5)
    assert table.find(actions_of(4)) is None
    assert (table.highest_cost, table.best_result, table.best_signal.index) == (2.0, 0.4, 3)


@pytest.mark.parametrize(
    ("role", "nearest"), [("arch_column", "arch"), ("signal", "valid"), ("cost", "seconds")]
)
def test_a_column_that_is_not_there_is_refused_with_the_nearest(tmp_path, role, nearest):
    columns = COLUMNS.model_copy(update={role: f"{nearest}x"})
    with pytest.raises(UnknownName, match=rf"called '{nearest}x'\. Did you mean '{nearest}'\?"):
        read(write(tmp_path), columns)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"valid": [0.1, float("nan"), 0.3, None]},
            "'valid' is missing, NaN or infinite in 2 of 4 rows",
        ),
        ({"seconds": [1, float("inf"), 3, 4]}, "'seconds' is missing, NaN or infinite in 1 of 4 rows"),
        ({"seconds": [1, 2, 0, 4]}, "'seconds' is 0 in row 2"),
        ({"test": [1.0, 2.0, 3.0, 101.0]}, "'test' is 101 in row 3; an accuracy is"),
        ({"test": [-1.0, 2.0, 3.0, 10.0]}, "'test' is -1 in row 0; an accuracy is"),
        ({"test": ["a", "b", "c", "d"]}, "'test' holds string, not numbers"),
        ({"arch": [1, 2, 3, 4]}, "'arch' holds int64, not architectures as text"),
        ({"arch": [*NAMES[:3], None]}, "row 3 has no architecture"),
        ({"arch": [*NAMES[:3], NAMES[0]]}, "rows 0 and 3 are the same architecture"),
    ],
)
def test_a_bad_value_is_refused_and_its_row_named(tmp_path, columns, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path, **columns))


def test_an_architecture_that_is_none_of_the_space_is_refused_and_its_row_named(tmp_path):
    strange = EXAMPLE.replace("skip_connect", "skip_conect")
    with pytest.raises(InvalidGenotype, match=r"row 3: .*'skip_conect' is unknown"):
        read(write(tmp_path, arch=[*NAMES[:3], strange]))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_file_that_is_no_table_is_refused(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    for content in (b"", b"\x00\xff\x00"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="table"):
            read(path)
    path.unlink()
    with pytest.raises(DataError, match="There is no table"):
        read(path)
    with pytest.raises(DataError, match=r"must end in \.parquet or \.csv"):
        read(tmp_path / "table.xlsx")


def test_an_empty_table_is_refused(tmp_path):
    columns: dict[str, Any] = {name: [] for name in CONTENT}
    with pytest.raises(DataError, match="has no rows"):
        read(write(tmp_path, **columns))


@pytest.mark.parametrize("naming", ["json", "arch_id"])
def test_a_space_without_names_of_its_own_is_read_by_genotype_or_id_in_any_writing(tmp_path, naming):
    space = NASNetSpace(num_blocks=2)
    # Blocks 0 and 1 exchanged, and the halves of block 0.
    one, other = (0, 1, 3, 4, 0, 1, 1, 5, 6, 1), (1, 1, 5, 6, 1, 1, 0, 4, 3, 0)
    cells = [space.decode(cell + cell) for cell in (one, (0,) * 10)]
    arch = [cell.arch_id if naming == "arch_id" else json.dumps(cell.to_dict()) for cell in cells]
    path = write(tmp_path, **{name: values[:2] for name, values in CONTENT.items()} | {"arch": arch})
    table = read_table(path, space, COLUMNS)
    assert table.find(one + one).index == table.find(other + other).index == 0
    assert table.find((0,) * 20).index == 1
    assert table.find((1,) * 20) is None


def test_a_genotypes_json_does_for_nasbench201_too(tmp_path):
    arch = [SPACE.decode(actions_of(number)).to_json() for number in range(4)]
    assert read(write(tmp_path, arch=arch)).find(actions_of(2)).index == 2


def test_the_real_table_has_every_architecture_of_the_space(nasbench201):
    assert all(nasbench201.find(actions_of(number)) for number in range(0, 15_625, 25))
    assert nasbench201.best_result == pytest.approx(0.94373, abs=1e-5)
