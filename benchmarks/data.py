"""Images per second of the streaming loaders, beside raw decoding and torch's DataLoader: `make bench-data`.

JPEGs of 500 x 375 are made from the pictures in a folder (COCO's, by default), as many variants of each as it
takes, and written as Parquet shards. Every path gives training images of 224 pixels. Rates are those of the
middle half of an epoch; the last column is the whole epoch with the start of its processes.
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

from raynas.engine.cluster import connected
from raynas.engine.stream import ray_batches
from raynas.stream import ImageIndex, Shuffle, TrainTransform, local_batches
from raynas.torchvision_import import make_torchvision_importable

SIZE = (500, 375)
BATCH_SIZE = 64
_PICTURES = Path(__file__).parents[2] / "shared" / "data" / "coco_tiny"


def write_shards(pictures: Path, folder: Path, num_images: int) -> int:
    """Four shards; returns the bytes of an image on average."""
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
    """A random part of the picture, of the shape of SIZE."""
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
class Rate:
    """Images per second in the middle of the epoch, and over all of it."""

    steady: float
    whole: float


def rate_of(counts: Iterator[int], began: float) -> Rate:
    """Consumes an iterator of how many images came.

    The middle half is steady: before it buffers fill up, after it they are emptied, which would flatter.
    """
    images, times = [0], [began]
    for count in counts:
        images.append(images[-1] + count)
        times.append(time.perf_counter())
    begin, end = (next(i for i, n in enumerate(images) if n >= images[-1] * part) for part in (0.25, 0.75))
    steady = (images[end] - images[begin]) / (times[end] - times[begin])
    return Rate(steady, images[-1] / (times[-1] - began))


def plain_loop(folder: Path, epoch: int, num_processes: int, *, augments: bool) -> Rate:
    """Each process loops over encoded images in its memory: no reading, no batches."""
    context = multiprocessing.get_context("forkserver")
    with context.Pool(num_processes) as pool:
        shares = [(folder, rank, num_processes, epoch, augments) for rank in range(num_processes)]
        rates = pool.map(_loop, shares, chunksize=1)
    return Rate(sum(rates), sum(rates))


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
    """What one writes for torch's DataLoader: row groups dealt to its workers, torchvision's transforms."""

    def __init__(self, folder: Path, epoch: int) -> None:
        self.files, self.epoch = sorted(folder.glob("*.parquet")), epoch

    def __iter__(self) -> Iterator[Any]:
        make_torchvision_importable()
        from torchvision.transforms import v2

        torch.set_num_threads(1)
        transform = v2.Compose([v2.RandomResizedCrop(224), v2.RandomHorizontalFlip(), v2.PILToTensor()])
        worker = get_worker_info()
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


def torch_loader(folder: Path, epoch: int, num_processes: int) -> Rate:
    began = time.perf_counter()
    loader = DataLoader(
        RowGroups(folder, epoch),
        batch_size=BATCH_SIZE,
        num_workers=num_processes,
        multiprocessing_context="forkserver",
    )
    return rate_of((len(labels) for _, labels in loader), began)


def ours(make: Callable[..., Any], folder: Path, epoch: int, **options: int) -> Rate:
    began = time.perf_counter()
    images = ImageIndex.find(str(folder)).train
    source = make(images, TrainTransform(), shuffle=Shuffle(seed=0, window=512), **options)
    batches: Iterable[Any] = source.batches(epoch=epoch, batch_size=BATCH_SIZE)
    return rate_of((len(batch.labels_N) for batch in batches), began)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--pictures", type=Path, default=_PICTURES, help="a folder of JPEG files")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, connected("local", num_cpus=arguments.processes):
        folder, count = Path(name), arguments.processes
        num_bytes = write_shards(arguments.pictures, folder, arguments.images)
        paths: dict[str, Callable[[int], Rate]] = {
            "raw decoding": lambda epoch: plain_loop(folder, epoch, count, augments=False),
            "raw decoding and augmentation": lambda epoch: plain_loop(folder, epoch, count, augments=True),
            "torch DataLoader, torchvision": lambda epoch: torch_loader(folder, epoch, count),
            "raynas, processes": lambda epoch: ours(local_batches, folder, epoch, num_processes=count),
            "raynas, Ray Data": lambda epoch: ours(ray_batches, folder, epoch, num_tasks=count),
        }
        rates: dict[str, list[Rate]] = {path: [] for path in paths}
        # Paths in turn, so that what else the machine does falls on all of them.
        for epoch in range(arguments.repetitions):
            for path, measure in paths.items():
                rates[path].append(measure(epoch))
                print(f"{path}: {rates[path][-1].steady:.0f}, load {os.getloadavg()[0]:.1f}", flush=True)
    _print(rates, count, arguments.images, num_bytes)


def _print(rates: dict[str, list[Rate]], num_cores: int, num_images: int, num_bytes: int) -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("ray", "torch", "pyarrow", "pillow"))
    print(f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, Python "
          f"{platform.python_version()}, {versions}; {num_images} images of {SIZE[0]}x{SIZE[1]}, "
          f"{num_bytes:,} bytes each, load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    print("| path | images/s | per core | of raw decoding and augmentation | with start, images/s |")
    print("|---|---|---|---|---|")
    yardstick = statistics.median(rate.steady for rate in rates["raw decoding and augmentation"])
    for path, measured in rates.items():
        steady = statistics.median(rate.steady for rate in measured)
        whole = statistics.median(rate.whole for rate in measured)
        print(
            f"| {path} | {steady:.0f} | {steady / num_cores:.0f} | {steady / yardstick:.2f} | {whole:.0f} |"
        )


if __name__ == "__main__":
    main()
