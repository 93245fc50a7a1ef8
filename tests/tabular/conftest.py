"""Tables that many tests search: one by formula, and the published one where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from raynas.tabular import Columns, Table, read_table
from tests.tabular.small_tables import SPACE, table_of


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
    columns = Columns(
        signal="cifar10_valid_acc_e12",
        result="cifar10_test_acc_e200",
        cost="cifar10_train_seconds_e200",
        cost_scale=0.06,
    )
    return read_table(path, SPACE, columns)
