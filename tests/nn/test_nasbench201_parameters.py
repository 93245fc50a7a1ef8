"""The parameters of NAS-Bench-201's networks: our arithmetic against the benchmark's own table."""

from __future__ import annotations

import pytest
from pyarrow import parquet

from raynas.nn import NetworkConfig, complexity
from search_spaces.nasbench201 import from_arch_string
from tests.nn.counted import built_complexity

NETWORK = NetworkConfig(filters=16, stem_filters=16, cells_per_stack=5, head="norm_relu")
IMAGE = {"in_channels": 3, "num_classes": 10, "image_size": 32}


def everywhere(op: str) -> str:
    """The architecture with the same operation on all six edges."""
    return f"|{op}~0|+|{op}~0|{op}~1|+|{op}~0|{op}~1|{op}~2|"


def test_cell_of_six_3x3_convolutions_has_the_tables_parameters():
    cost = complexity(from_arch_string(everywhere("nor_conv_3x3")), NETWORK, **IMAGE)
    assert cost.parameters == 1_531_546
    assert cost == built_complexity(from_arch_string(everywhere("nor_conv_3x3")), NETWORK, **IMAGE)


@pytest.mark.parametrize("op", ["none", "skip_connect", "avg_pool_3x3"])
def test_cells_without_a_convolution_have_the_parameters_of_the_reductions(op):
    # 0.073306 million in the table, for all three.
    assert complexity(from_arch_string(everywhere(op)), NETWORK, **IMAGE).parameters == 73_306


def by_hand(arch: str) -> int:
    """5 cells at each of 16, 32 and 64 filters, and what is the same in all networks."""
    own = {
        "nor_conv_1x1": sum(5 * (c * c + 2 * c) for c in (16, 32, 64)),
        "nor_conv_3x3": sum(5 * (9 * c * c + 2 * c) for c in (16, 32, 64)),
    }
    return 73_306 + sum(arch.count(op) * parameters for op, parameters in own.items())


@pytest.mark.slow
def test_all_15625_cells_have_the_tables_parameters(real_data):
    path = real_data / "nasbench201_cifar10.parquet"
    if not path.is_file():
        pytest.skip(f"no table at {path}")
    table = parquet.read_table(path, columns=["arch", "params_million_cifar10"]).to_pydict()
    assert len(set(table["arch"])) == 15_625
    differences = []
    for arch, millions in zip(table["arch"], table["params_million_cifar10"], strict=True):
        parameters = complexity(from_arch_string(arch), NETWORK, **IMAGE).parameters
        assert parameters == by_hand(arch), arch
        # The table keeps 32-bit floats, good to a tenth of a parameter.
        if abs(parameters - 1e6 * millions) > 0.1:
            differences.append(round(abs(parameters - 1e6 * millions)))
    # For 150 cells the table has one convolution more or less than the cell's own string.
    assert len(differences) <= 150
    assert set(differences) <= {28_000, 243_040}
