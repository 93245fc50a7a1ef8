"""One torch thread, as the networks here are too small for more, and one group of two processes."""

from __future__ import annotations

import pytest
import torch

from tests.training.rank_process import train_ranks


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory):
    """What each of two processes ended with that trained together."""
    return train_ranks(2, tmp_path_factory.mktemp("ranks"))
