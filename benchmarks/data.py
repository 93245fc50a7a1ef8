"""Images per second of the streaming loaders, of raw decoding and of torch's DataLoader: `make bench-data`.

JPEGs of 500 x 375 are made from the pictures in a folder (by default COCO's), as many variants of each as
needed, and written as Parquet shards. Every loader yields training images of 224 pixels, in a short epoch
over the shards and in a long one over several copies of them. The rate is that of the difference, so that
starting processes and filling buffers cancel out; the last column is the long epoch with its start.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from raynas.data.stream import ImageIndex, Shuffle, TrainTransform, local_batches
from raynas.engine.cluster import connected
from raynas.engine.ray_batches import ray_batches
from raynas.models.torchvision_import import load_torchvision

SIZE = (500, 375)
"""Width and height of an encoded image, in pixels."""
BATCH_SIZE = 64
YARDSTICK = "raw decoding and augmentation"
"""The path that the rates of the others are divided by."""
_PICTURES = Path(__file__).parents[2] / "shared" / "data" / "coco_tiny"


def write_shards(pictures: Path, folder: Path, num_images: int) -> int:
    """Writes four shards; returns the average number of bytes of an image."""
    files = sorted(pictures.rglob("*.jpg"))
    rng = np.random.default_rng(0)
    contents = [variant(files[index % len(files)], rng) for index in range(num_images)]
    features = {"label": {"names": [str(label) for label in range(100)], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for shard in range(4):
        images = [{"bytes": content, "path": None} for content in contents[shard::4]]
        table = pa.table({"image": images, "label": [index % 100 for index in range(len(images))]})
        file = folder / f"train-{shard:05}-of-00004.parquet"
        table = table.replace_schema_metadata(metadata)
        pq.write_table(table, file, row_group_size=64, compression="none")
    return sum(map(len, contents)) // num_images


def variant(file: Path, rng: np.random.Generator) -> bytes:
    """A random crop of a picture, scaled to SIZE, as JPEG."""
    with Image.open(file) as image:
        picture = image.convert("RGB")
    scale = min(picture.width / SIZE[0], picture.height / SIZE[1]) * rng.uniform(0.75, 1)
    left = rng.uniform(0, picture.width - SIZE[0] * scale)
    top = rng.uniform(0, picture.height - SIZE[1] * scale)
    box = (left, top, left + SIZE[0] * scale, top + SIZE[1] * scale)
    stream = io.BytesIO()
    picture.resize(SIZE, Image.Resampling.LANCZOS, box=box).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@dataclass(frozen=True)
class Epoch:
    """Number of images of an epoch, and how long it took."""

    num_images: int
    seconds: float


def timed(counts: Iterable[int], began: float) -> Epoch:
    """Consumes an iterator over the number of images of each batch."""
    return Epoch(sum(counts), time.perf_counter() - began)


def plain_loop(folder: Path, epoch: int, num_processes: int, *, augments: bool) -> Epoch:
    """Loops over encoded images in memory, in each process: no reading, no batches."""
    shares = [(folder, rank, num_processes, epoch, augments) for rank in range(num_processes)]
    with ProcessPoolExecutor(num_processes, multiprocessing.get_context("forkserver")) as pool:
        rates = list(pool.map(_loop, shares))
    # From the sum of the processes' rates, so that neither their start nor the slowest of them counts.
    num_images = ImageIndex.find(str(folder)).train.num_images
    return Epoch(num_images, num_images / sum(rates))


def _loop(share: tuple[Path, int, int, int, bool]) -> float:
    folder, rank, num_processes, epoch, augments = share
    images = ImageIndex.find(str(folder)).train
    pieces = [images.piece(numbers_N).read() for numbers_N in images.pieces(None)[rank::num_processes]]
    encoded = [image for piece in pieces for image in piece.images]
    transform = TrainTransform()
    began = time.perf_counter()
    for number, image in enumerate(encoded):
        if augments:
            transform(image, np.random.default_rng((rank, epoch, number)))
        else:
            assert image.content is not None
            np.asarray(Image.open(io.BytesIO(image.content)).convert("RGB"))
    return len(encoded) / (time.perf_counter() - began)


class RowGroups(IterableDataset[Any]):
    """What one would write for torch's DataLoader: each worker reads a share of the row groups."""

    def __init__(self, folder: Path, epoch: int) -> None:
        self.files = sorted(folder.glob("*.parquet"))
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        load_torchvision()
        from torchvision.transforms import v2

        torch.set_num_threads(1)
        transform = v2.Compose([v2.RandomResizedCrop(224), v2.RandomHorizontalFlip(), v2.PILToTensor()])
        worker = get_worker_info()
        assert worker is not None
        groups = [
            (file, group) for file in self.files for group in range(pq.read_metadata(file).num_row_groups)
        ]
        order = np.random.default_rng(self.epoch).permutation(len(groups))
        for index in order[worker.id :: worker.num_workers]:
            file, group = groups[index]
            table = pq.ParquetFile(file).read_row_group(group)
            for row in table.to_pylist():
                image = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
                yield transform(image), row["label"]


def torch_loader(folder: Path, epoch: int, num_processes: int) -> Epoch:
    began = time.perf_counter()
    loader = DataLoader(
        RowGroups(folder, epoch),
        batch_size=BATCH_SIZE,
        num_workers=num_processes,
        multiprocessing_context="forkserver",
    )
    return timed((len(labels) for _, labels in loader), began)


def ours(make: Callable[..., Any], folder: Path, epoch: int, **options: int) -> Epoch:
    began = time.perf_counter()
    images = ImageIndex.find(str(folder)).train
    loader = make(images, TrainTransform(), shuffle=Shuffle(seed=0, window=512), **options)
    batches: Iterable[Any] = loader.batches(epoch=epoch, batch_size=BATCH_SIZE)
    return timed((len(batch.labels_N) for batch in batches), began)


def with_copies(folder: Path, num_copies: int) -> Path:
    """Makes a folder beside `folder` with `num_copies` links to each shard."""
    copies = folder.with_name(f"{folder.name}-{num_copies}")
    copies.mkdir()
    for file in folder.iterdir():
        for number in range(num_copies):
            os.link(file, copies / f"train-{number}-{file.name}")
    return copies


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=2000, help="number of images of the short epoch")
    parser.add_argument("--copies", type=int, default=7, help="how often the long epoch has them")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--pictures", type=Path, default=_PICTURES, help="a folder of JPEG files")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    count = arguments.processes
    paths: dict[str, Callable[[Path, int], Epoch]] = {
        "raw decoding": lambda folder, epoch: plain_loop(folder, epoch, count, augments=False),
        YARDSTICK: lambda folder, epoch: plain_loop(folder, epoch, count, augments=True),
        "torch DataLoader, torchvision": lambda folder, epoch: torch_loader(folder, epoch, count),
        "raynas, processes": lambda folder, epoch: ours(local_batches, folder, epoch, num_processes=count),
        "raynas, Ray Data": lambda folder, epoch: ours(ray_batches, folder, epoch, num_tasks=count),
    }
    steady: dict[str, list[float]] = {path: [] for path in paths}
    whole: dict[str, list[float]] = {path: [] for path in paths}
    with tempfile.TemporaryDirectory() as name, connected("local", num_cpus=count):
        short = Path(name, "shards")
        short.mkdir()
        num_bytes = write_shards(arguments.pictures, short, arguments.images)
        long = with_copies(short, arguments.copies)
        # Warm up: raynas's processes and Ray's stay alive between epochs, so the first epoch would pay for
        # all.
        ours(local_batches, short, 0, num_processes=count)
        ours(ray_batches, short, 0, num_tasks=count)
        # The paths take turns, so that other load on the machine affects all of them.
        for epoch in range(arguments.repetitions):
            for path, measure in paths.items():
                few, many = measure(short, epoch), measure(long, epoch)
                seconds = many.seconds - few.seconds
                steady[path].append((many.num_images - few.num_images) / seconds)
                whole[path].append(many.num_images / many.seconds)
                print(f"{path}: {steady[path][-1]:.0f}, load {os.getloadavg()[0]:.1f}", flush=True)
    print_environment(arguments.images, arguments.copies, num_bytes)
    print_table(steady, whole, count)


def print_environment(num_images: int, num_copies: int, num_bytes: int) -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("ray", "torch", "pyarrow", "pillow"))
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs"
    print(f"\n{machine}, Python {platform.python_version()}, {versions}, load {os.getloadavg()[0]:.1f}")
    print(f"{num_images:,} images of {num_bytes:,} bytes, in the long epoch {num_copies} times\n")


def print_table(steady: dict[str, list[float]], whole: dict[str, list[float]], num_cores: int) -> None:
    """Prints the medians of the repetitions."""
    print(f"| path | images/s | per core | of {YARDSTICK} | with start, images/s |\n|---|---|---|---|---|")
    yardstick = statistics.median(steady[YARDSTICK])
    for path in steady:
        rate, slow = statistics.median(steady[path]), statistics.median(whole[path])
        print(f"| {path} | {rate:.0f} | {rate / num_cores:.0f} | {rate / yardstick:.2f} | {slow:.0f} |")


if __name__ == "__main__":
    main()
