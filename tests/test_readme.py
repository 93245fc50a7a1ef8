"""What README shows is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raynas.cells.space import make_space
from raynas.models.networks import NETWORKS
from raynas.nn import Network, NetworkConfig
from raynas.testing import check_space

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.fixture
def chain(tmp_path, monkeypatch):
    source = next(
        block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "class Chain" in block
    )
    (tmp_path / "my_spaces.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    return make_space("my_spaces:Chain", length=4)


def test_the_example_space_decodes_encodes_and_builds(chain):
    actions = (0, 1, 2, 1)
    genotype = chain.decode(actions)
    assert chain.encode(genotype) == actions
    Network(genotype, NetworkConfig(filters=4, cells_per_stack=1), in_channels=1, num_classes=2, image_size=8)


def test_the_example_space_keeps_the_promises_of_a_space(chain):
    check_space(chain)


def test_every_file_and_folder_that_is_named_exists():
    for name in re.findall(r"(?:raynas|search_spaces|benchmarks|tests)/[\w/.]+", README):
        assert (ROOT / name.rstrip(".")).exists(), name


def test_the_first_two_commands_are_make_search_and_make_test():
    first_block = re.search(r"```bash\n(.*?)```", README, re.S).group(1)
    assert [line.split("#")[0].strip() for line in first_block.splitlines()] == ["make search", "make test"]


def sizes_in_the_table() -> list[tuple[str, str, str, str]]:
    return re.findall(r"^\| (\w+_\w+)[^|]*\| (\d+) \| ([\d,]+) \| ([\d,.]+) M \|", README, re.M)


def test_the_table_of_published_networks_is_what_is_built():
    assert len(sizes_in_the_table()) == 9
    for name, pixels, parameters, mult_adds in sizes_in_the_table():
        network, cost = NETWORKS[name], NETWORKS[name].spec.complexity()
        assert network.image_size == int(pixels)
        assert f"{cost.parameters:,}" == parameters
        assert cost.mult_adds / 1e6 == pytest.approx(float(mult_adds.replace(",", "")), abs=0.51)
