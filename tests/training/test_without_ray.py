"""Networks, training and strategies need neither Ray nor MLflow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
sys.modules["ray"] = sys.modules["mlflow"] = None
import raynas, raynas.data, raynas.models.networks, raynas.nn, raynas.strategies.ppo, raynas.training
import search_spaces.nasnet
from raynas.child import Child
from raynas.data import DataConfig, load_split
from raynas.nn import NetworkConfig
from raynas.cells.space import make_space
from raynas.strategies.strategy import make_strategy
from raynas.training.config import ChildConfig
from raynas.training.device import Placement
from raynas.training.images import DeviceImages
from raynas.training.trainer import ChildTrainer

space = make_space("nasnet", num_blocks=1, operations=["conv_3x3", "identity"])
genotype = space.decode(make_strategy("ppo", space, seed=0).propose().actions)
images = DeviceImages(load_split(DataConfig(train_images=64, validation_images=30), seed=0))
network = NetworkConfig(cells_per_stack=1, filters=4, num_reductions=1)
train = ChildTrainer(network, ChildConfig(epochs=1, batch_size=32), images, Placement())
result = train(Child(0, genotype, genotype.arch_id, 0), lambda _: None, lambda: False)
loaded = [name for name in sys.modules if name.split(".")[0] in ("ray", "mlflow")]
print(result.status, len(result.curve), sorted(loaded))
"""


@pytest.mark.slow
def test_child_of_ppo_trains_where_ray_and_mlflow_cannot_be_imported():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "completed 1 ['mlflow', 'ray']"
