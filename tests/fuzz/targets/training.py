"""Resuming a final training from its folder: training.json and curve.jsonl."""

from __future__ import annotations

import json
import random
from pathlib import Path

from raynas.cli.terminal.train import result_lines
from raynas.cli.terminal.train_plan import plan_lines
from raynas.data.digits import open_digits
from raynas.files import CURVE_FILE, TRAINING_FILE
from raynas.programs.train.curve import read_curve
from raynas.programs.train.execute import TrainResult
from raynas.programs.train.prepare import prepare_training
from raynas.programs.train.recipes import train_config
from raynas.training.final_config import ClassifierSummary
from tests.fuzz.mutate import json_bytes, mutated_bytes
from tests.fuzz.seeds import bombs, parquet_bytes
from tests.fuzz.targets.model import tiny_network
from tests.fuzz.trial import Attempt


def start(folder: Path, bomb: Path) -> Attempt:
    # Imports scikit-learn beforehand, so that it doesn't count as the time of an input.
    open_digits()
    (folder / "train.parquet").write_bytes(parquet_bytes())
    network = tiny_network()
    settings = {
        "cell": "tiny",
        "genotype": network.genotype.to_dict(),
        "network": network.config.model_dump() | {"auxiliary_head": False},
        "data": {"source": str(folder / "train.parquet"), "validation_images": 2},
        "training": {"batch_size": 2},
    }
    config = train_config("cifar_final", settings).model_dump(mode="json")
    curve = [
        ClassifierSummary(
            epoch=epoch, train_loss=1.5, top1=epoch / 10, top5=1.0, learning_rate=0.1, images_per_second=9.5,
            seconds=2.0, seconds_left=1.0,
        )
        for epoch in (1, 2, 3)
    ]  # fmt: skip
    lines = [json.loads(summary.model_dump_json()) for summary in curve]

    def attempt(rng: random.Random) -> None:
        is_config = rng.random() < 0.6
        (folder / TRAINING_FILE).write_bytes(
            json_bytes(rng, config) if is_config else json.dumps(config).encode()
        )
        encoded = [json.dumps(line).encode() if is_config else json_bytes(rng, line) for line in lines]
        data = b"\n".join(encoded) + b"\n"
        is_torn = not is_config and rng.random() < 0.2
        (folder / CURVE_FILE).write_bytes(mutated_bytes(rng, data, bombs(bomb)) if is_torn else data)
        prepared = prepare_training(None, cell="", out=folder, resume=True)
        plan_lines(prepared, images_per_second=10.0)
        summaries = read_curve(folder, ClassifierSummary)
        if summaries:
            result_lines(TrainResult(folder, folder, folder, summaries, None))

    return attempt
