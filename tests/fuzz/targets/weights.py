"""Weights on disk: safetensors, and torch's files, which are pickles."""

from __future__ import annotations

import argparse
import io
import json
import random
from pathlib import Path

import safetensors.torch
import torch

from raynas.models.fitting import fit_weights
from raynas.models.weights import read_weights
from raynas.nn import Network, NetworkSpec
from tests.fuzz.mutate import json_bytes, mutated_bytes
from tests.fuzz.seeds import bombs
from tests.fuzz.targets.model import tiny_network
from tests.fuzz.trial import Attempt


def start(folder: Path, bomb: Path) -> Attempt:
    network = tiny_network()
    spec = NetworkSpec(network.genotype, network.config, 1, network.num_classes, network.image_size)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    tensors = safetensors.torch.save(state)
    wrapped = {"ema": {"module": state}, "model": state, "args": argparse.Namespace(x=1)}
    pickles = [torch_bytes(saved, is_zip=is_zip) for saved in (state, wrapped) for is_zip in (True, False)]

    def attempt(rng: random.Random) -> None:
        if rng.random() < 0.5:
            file, data = folder / "weights.safetensors", _mutated_safetensors(rng, tensors)
        else:
            file, data = folder / "weights.pt", mutated_bytes(rng, rng.choice(pickles), bombs(bomb))
            data = rng.choice(bombs(bomb)) if rng.random() < 0.02 else data
        file.write_bytes(data)
        fitted = fit_weights(read_weights(file, "this network").state, spec)
        network.load_state_dict(fitted.state, strict=False)
        _check(network)

    return attempt


def torch_bytes(state: object, *, is_zip: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream, _use_new_zipfile_serialization=is_zip)
    return stream.getvalue()


def _mutated_safetensors(rng: random.Random, data: bytes) -> bytes:
    """Mutates the header, which is JSON after its length, or any bytes."""
    length = int.from_bytes(data[:8], "little")
    if rng.random() < 0.4:
        return mutated_bytes(rng, data)
    header = json_bytes(rng, json.loads(data[8 : 8 + length]))
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def _check(network: Network) -> None:
    assert all(
        value.is_floating_point() or value.dtype == torch.int64 for value in network.state_dict().values()
    )
