"""Tables that many tests search: one by formula, and the published one where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from raynas.tabular import Table, read_table
from raynas.tabular.recipe import benchmark_recipe
from tests.tabular.small_tables import SPACE, table_of

RECIPE = Path(__file__).parents[2] / "benchmarks" / "nasbench201_cifar10.toml"


@pytest.fixture(scope="session")
def whole_table() -> Table:
    """All of NAS-Bench-201's space."""
    return table_of([1.0 + number % 7 for number in range(15_625)], signal=lambda number: number / 15_625)


@pytest.fixture(scope="session")
def nasbench201(real_data: Path) -> Table:
    """NAS-Bench-201 on CIFAR-10, with seconds of 12 epochs."""
    path = real_data / "nasbench201_cifar10.parquet"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    recipe = benchmark_recipe(RECIPE, {"table": path})
    return read_table(recipe.table, SPACE, recipe.columns)
