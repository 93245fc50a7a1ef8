"""Tables that many tests search: one by formula, and the published one where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from raynas.programs.benchmark import ArchTable, read_table
from raynas.programs.benchmark.recipe import benchmark_recipe
from tests.programs.benchmark.small_tables import SPACE, table_of

RECIPE = Path(__file__).parents[3] / "benchmarks" / "nasbench201_cifar10.toml"


@pytest.fixture(scope="session")
def whole_table() -> ArchTable:
    """All of NAS-Bench-201's space."""
    return table_of([1.0 + number % 7 for number in range(15_625)], signal=lambda number: number / 15_625)


@pytest.fixture(scope="session")
def nasbench201(real_data: Path) -> ArchTable:
    """NAS-Bench-201 on CIFAR-10, with seconds of 12 epochs."""
    path = real_data / "nasbench201_cifar10.parquet"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    recipe = benchmark_recipe(RECIPE, {"table": path})
    return read_table(recipe.table, SPACE, recipe)
