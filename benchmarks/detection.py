"""What a detector learns from eight pictures, and what its training costs: `make bench-detection`.

`learn`: recipe `small` on eight training pictures of coco_tiny, from random weights, evaluated on the same
eight. That shows that the way works, not how good a cell is. `step`: a training step of raynas's loop against
plain torchvision code with the same backbone, in turn and in one process. `load`: pictures per second of
raynas's batches against torch's DataLoader with torchvision's reference transforms, over the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from raynas.detection.data import Augmentation, DetectionBatch, DetectionDataConfig, open_detection
from raynas.detection.data.batches import training_batches
from raynas.detection.detector import build_detector
from raynas.detection.evaluation import NUMBERS
from raynas.detection.training import DetectorBatches
from raynas.models.torchvision_import import load_torchvision
from raynas.programs.detect.prepare import PreparedDetection, prepare_detection
from raynas.programs.detect.worker import DetectionInput, build_detector_training
from raynas.training.device import Placement

NUM_PICTURES = 8
UPDATES = 150
LEAST_AP = 0.60
MOST_OVER_PLAIN = 1.05
_DATA = Path(os.environ.get("RAYNAS_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def first_pictures(data: Path, folder: Path) -> Path:
    """A COCO folder with the first eight training pictures of `data` for training and for validation."""
    (folder / "annotations").mkdir(parents=True)
    content = json.loads((data / "annotations" / "instances_train2017.json").read_text())
    content["images"] = content["images"][:NUM_PICTURES]
    chosen = {picture["id"] for picture in content["images"]}
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] in chosen]
    for split in ("train2017", "val2017"):
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
        (folder / split).mkdir()
        for picture in content["images"]:
            shutil.copy(data / "train2017" / picture["file_name"], folder / split)
    return folder


def prepared(source: Path, folder: Path, **training: Any) -> PreparedDetection:
    return prepare_detection(
        "nasnet_a",
        recipe="small",
        out=folder / "out",
        settings={"data": {"source": str(source), "flip": False, "processes": 0}, "training": training},
    )


def learn(data: Path, folder: Path, updates: int) -> None:
    """Prints the average precision on the eight pictures that were trained on."""
    source = first_pictures(data, folder / "eight")
    epochs = updates // (NUM_PICTURES // 4)
    plan = prepared(source, folder, epochs=epochs)
    training = build_detector_training(Placement(), DetectionInput.of(plan), config=plan.config)
    evaluate, began = training.scores, time.process_time()

    def seldom() -> dict[str, Any]:
        """Evaluates every 25 epochs, because this takes as long as a few updates."""
        return evaluate() if is_shown(training.epoch + 1) else none

    def is_shown(epoch: int) -> bool:
        return epoch % 25 == 0 or epoch == epochs

    none: dict[str, Any] = {**dict.fromkeys(NUMBERS), "ap": 0.0, "ap_of_classes": {}}
    training.scores = seldom  # type: ignore[method-assign]
    print("| updates | loss | AP | AP50 | CPU seconds |\n|---|---|---|---|---|")
    last = []

    def show(summary: Any) -> None:
        if is_shown(summary.epoch):
            last.append(summary.ap)
            spent = time.process_time() - began
            print(
                f"| {training.step} | {summary.train_loss:.3f} | {summary.ap:.3f} | {summary.ap50:.3f} "
                f"| {spent:.0f} |"
            )

    training.run(show)
    print(f"AP {last[-1]:.3f} after {training.step} updates; at least {LEAST_AP} is expected after {UPDATES}")


def step(data: Path, folder: Path, repetitions: int) -> None:
    """Prints the median ratio of raynas's step to plain code's; both get the same batch in turn."""
    plan = prepared(data, folder, epochs=2)
    training = build_detector_training(Placement(), DetectionInput.of(plan), config=plan.config)
    given = plan.plan
    torch.manual_seed(0)
    plain = build_detector(
        given.network,
        given.config,
        num_classes=given.num_classes,
        preprocessing=plan.preprocessing,
        norm="trained",
    ).train()
    plain.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-3, weight_decay=1e-4)
    training.model.train()
    batches = list(islice(training.batches.train_batches(0, 4, rank=0, num_ranks=1), 8))

    def ours(batch: DetectionBatch) -> None:
        training._update([batch])

    def plainly(batch: DetectionBatch) -> None:
        loss = sum(plain(batch.images, batch.targets).values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 10.0)
        optimizer.step()

    ratios, seconds = [], []
    for repetition in range(repetitions + 2):
        batch = batches[repetition % len(batches)]
        pair = [(ours, "raynas"), (plainly, "plain")]
        # The order alternates, so that neither has the warmer caches.
        spent = {name: timed(run, batch) for run, name in pair[:: 1 if repetition % 2 else -1]}
        # The first two warm up.
        if repetition >= 2:
            ratios.append(spent["raynas"] / spent["plain"])
            seconds.append(spent["plain"])
    print(
        f"step: {statistics.median(ratios):.3f} times plain torchvision code's "
        f"{statistics.median(seconds):.2f} CPU seconds (median of {len(ratios)} pairs); "
        f"at most {MOST_OVER_PLAIN} is expected"
    )


def timed(run: Callable[[DetectionBatch], None], batch: DetectionBatch) -> float:
    began = time.process_time()
    run(batch)
    return time.process_time() - began


class Reference(Dataset[Any]):
    """What one would write for torch's DataLoader: the transforms of torchvision's references/detection."""

    def __init__(self, files: list[Path], boxes: list[torch.Tensor]) -> None:
        self.files = files
        self.boxes = boxes

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Any:
        load_torchvision()
        from torchvision import tv_tensors
        from torchvision.transforms import v2

        torch.set_num_threads(1)
        transform = v2.Compose(
            [
                v2.PILToTensor(),
                v2.RandomHorizontalFlip(),
                v2.ToDtype(torch.float, scale=True),
                v2.ToPureTensor(),
            ]
        )
        with Image.open(self.files[index]) as file:
            picture = file.convert("RGB")
        boxes = tv_tensors.BoundingBoxes(
            self.boxes[index], format="XYXY", canvas_size=(picture.height, picture.width)
        )
        return transform(picture, {"boxes": boxes})


def collate(examples: list[Any]) -> Any:
    return tuple(zip(*examples, strict=True))


def load(data: Path, processes: int, epochs: int, repetitions: int) -> None:
    """Prints pictures per second of both loaders, over several epochs of the training pictures."""
    chosen = open_detection(DetectionDataConfig(source=str(data))).for_training()
    batches = training_batches(chosen, Augmentation(), seed=0, num_processes=processes)
    content = json.loads((data / "annotations" / "instances_train2017.json").read_text())
    files = [data / "train2017" / picture["file_name"] for picture in content["images"]]
    files = [files[number] for number in chosen.numbers.tolist()]
    split = chosen.split.boxes
    boxes = [torch.from_numpy(split.boxes_N4[split.of_picture(number)]) for number in chosen.numbers.tolist()]
    reference: DataLoader[Any] = DataLoader(
        Reference(files * epochs, boxes * epochs),
        batch_size=4,
        shuffle=True,
        drop_last=True,
        num_workers=processes,
        collate_fn=collate,
        multiprocessing_context="forkserver",
        persistent_workers=True,
    )
    detector_batches = DetectorBatches(batches, batches)

    def ours() -> Iterator[int]:
        for epoch in range(epochs):
            yield from (
                len(batch.images) for batch in detector_batches.train_batches(epoch, 4, rank=0, num_ranks=1)
            )

    def theirs() -> Iterator[int]:
        return (len(images) for images, _ in reference)

    rates: dict[str, list[float]] = {"raynas": [], "torch DataLoader": []}
    for repetition in range(repetitions + 1):
        for name, loader in (("raynas", ours), ("torch DataLoader", theirs)):
            began = time.perf_counter()
            count = sum(loader())
            # The first starts the processes.
            if repetition:
                rates[name].append(count / (time.perf_counter() - began))
    ratio = statistics.median(a / b for a, b in zip(*rates.values(), strict=True))
    medians = ", ".join(f"{name} {statistics.median(values):.0f}" for name, values in rates.items())
    print(f"load: {medians} pictures/s with {processes} processes; {ratio:.2f} times as many")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help="learn, step, load; default: all")
    parser.add_argument("--data", type=Path, default=_DATA / "coco_tiny", help="a COCO folder")
    parser.add_argument("--updates", type=int, default=UPDATES)
    parser.add_argument(
        "--repetitions", type=int, default=20, help="pairs of steps; a quarter of it for loaders"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    if not (arguments.data / "annotations" / "instances_train2017.json").is_file():
        print(f"skipped: no COCO folder at {arguments.data}; set RAYNAS_TEST_DATA or give --data")
        sys.exit(0)
    torch.set_num_threads(1)
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "pillow"))
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs"
    print(
        f"{machine}, Python {platform.python_version()}, {versions}, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    chosen = arguments.parts or ["learn", "step", "load"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "load" in chosen:
            load(
                arguments.data, arguments.processes, epochs=10, repetitions=max(arguments.repetitions // 4, 1)
            )
        if "step" in chosen:
            step(arguments.data, folder, arguments.repetitions)
        if "learn" in chosen:
            learn(arguments.data, folder, arguments.updates)


if __name__ == "__main__":
    main()
