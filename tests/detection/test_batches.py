"""Batches of pictures with boxes: their order, their shapes, what augmentation does to pictures and boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from raynas.data.stream.order import Shuffle
from raynas.detection.data.batches import DetectionBatch, evaluation_batches, training_batches
from raynas.detection.data.config import DetectionDataConfig
from raynas.detection.data.convert import convert_detection
from raynas.detection.data.dataset import DetectionData, open_detection
from raynas.detection.data.examples import UNCHANGED, Augmentation, Example, decode_example
from raynas.detection.data.order import ChosenPictures, by_shape, plan_pictures
from raynas.detection.data.pictures import FilePicture, FilePictures
from raynas.errors import DataError

from .coco_sets import SIZE, coco, picture, write_coco

SIZES = ((64, 48), (48, 64), (60, 60), (80, 30))


def many(root: Path, *, count: int = 22) -> DetectionData:
    """Pictures of four shapes in turn, each with one box that tells its number: its width is 2 + number."""
    content = coco(count, boxes=[(4, 6, 20, 10)])
    for number, record in enumerate(content["images"]):
        record["width"], record["height"] = SIZES[number % 4]
        content["annotations"][number]["bbox"] = [1, 2, 2 + number, 12]
    root = write_coco(root, train=content)
    for number in range(count):
        picture(number, SIZES[number % 4]).save(root / "train2017" / f"{number:04}.png")
    return open_detection(DetectionDataConfig(source=str(root)))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DetectionData:
    return many(tmp_path_factory.mktemp("many"))


def train(data: DetectionData, augmentation: Augmentation = UNCHANGED, **settings: Any) -> Any:
    return training_batches(data.for_training(), augmentation, **{"seed": 0, "num_processes": 0, **settings})


def numbers(batches: Iterable[DetectionBatch]) -> list[list[int]]:
    return [batch.numbers.tolist() for batch in batches]


def all_numbers(batches: Iterable[DetectionBatch]) -> list[int]:
    return [number for batch in numbers(batches) for number in batch]


def assert_same(ours: list[DetectionBatch], theirs: list[DetectionBatch]) -> None:
    assert numbers(ours) == numbers(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.position == other.position
        assert all(torch.equal(a, b) for a, b in zip(one.images, other.images, strict=True))
        for a, b in zip(one.targets, other.targets, strict=True):
            assert torch.equal(a["boxes"], b["boxes"]) and torch.equal(a["labels"], b["labels"])


def test_a_batch_is_what_torchvisions_detectors_take(data):
    batches = list(train(data).batches(0, 4))
    assert len(batches) == train(data).num_batches(4) == 5
    for batch in batches:
        for image, target, number in zip(batch.images, batch.targets, batch.numbers.tolist(), strict=True):
            width, height = SIZES[number % 4]
            assert image.dtype == torch.float32 and image.shape == (3, height, width)
            expected = np.asarray(picture(number, (width, height))).transpose(2, 0, 1) / np.float32(255)
            torch.testing.assert_close(image, torch.from_numpy(expected))
            assert target["boxes"].dtype == torch.float32 and target["labels"].dtype == torch.int64
            assert target["boxes"].tolist() == [[1, 2, 3 + number, 14]]
            assert target["labels"].tolist() == [1 + number % 3]


@pytest.mark.parametrize("num_processes", [0, 1])
def test_a_network_of_one_channel_gets_grey_pictures(data, num_processes):
    batch = next(train(data, num_channels=1, num_processes=num_processes).batches(0, 2))
    number = int(batch.numbers[0])
    expected = np.asarray(picture(number, SIZES[number % 4], "L"))[None] / np.float32(255)
    torch.testing.assert_close(batch.images[0], torch.from_numpy(expected))


def test_the_order_depends_on_seed_and_epoch_alone(data):
    first = list(train(data).batches(3, 4))
    assert_same(first, list(train(data).batches(3, 4)))
    assert numbers(first) != numbers(list(train(data).batches(4, 4)))
    assert numbers(first) != numbers(list(train(data, seed=1).batches(3, 4)))


def test_an_epoch_has_each_picture_at_most_once_and_ranks_have_equally_many(data):
    ranks = [list(train(data).batches(0, 3, rank=rank, num_ranks=3)) for rank in range(3)]
    assert [len(batches) for batches in ranks] == [2] * 3 == [train(data).num_batches(3, num_ranks=3)] * 3
    seen = [number for batches in ranks for number in all_numbers(batches)]
    assert len(seen) == len(set(seen)) == 18
    assert [batch.position for batch in ranks[1]] == [9, 18]


def test_all_pictures_come_where_the_batch_size_divides_their_number(data):
    assert sorted(all_numbers(train(data).batches(0, 2))) == list(range(22))


def test_an_epoch_goes_on_where_it_was_left(data):
    augmentation = Augmentation(shorter_sides=(24, 32))
    whole = list(train(data, augmentation).batches(1, 2, rank=1, num_ranks=2))
    for place, batch in enumerate(whole):
        rest = train(data, augmentation).batches(1, 2, rank=1, num_ranks=2, start=batch.position)
        assert_same(whole[place + 1 :], list(rest))


def test_decoding_processes_change_nothing(data):
    augmentation = Augmentation(shorter_sides=(24, 32))
    ours = list(train(data, augmentation).batches(0, 4))
    assert_same(ours, list(train(data, augmentation, num_processes=2).batches(0, 4)))


def test_what_a_process_finds_wrong_is_told(tmp_path):
    data = many(tmp_path)
    (tmp_path / "train2017" / "0007.png").write_bytes(b"gone bad since")
    for num_processes in (0, 1):
        with pytest.raises(DataError, match=r"0007\.png can't be decoded"):
            list(train(data, num_processes=num_processes).batches(0, 2))


def test_pictures_of_like_shape_come_together():
    rng = np.random.default_rng(0)
    sizes_P2 = rng.permutation(np.repeat([[640, 480], [480, 640], [500, 500]], 40, axis=0))
    batches = by_shape(rng.permutation(120), sizes_P2, 4)
    assert sorted(np.concatenate(batches).tolist()) == list(range(120))
    mixed = [batch for batch in batches if len({tuple(size) for size in sizes_P2[batch].tolist()}) > 1]
    assert {len(batch) for batch in batches} == {4} and len(mixed) <= 2
    assert by_shape(np.arange(8), np.zeros((8, 2), dtype=np.int64), 4)[0].tolist() == [0, 1, 2, 3]


def test_too_few_pictures_for_a_batch_are_told(data):
    with pytest.raises(DataError, match="22 training images on 2 ranks don't make one batch of 16"):
        list(train(data).batches(0, 16, num_ranks=2))


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_evaluation_has_each_picture_on_exactly_one_rank(data, num_ranks, batch_size):
    evaluation = evaluation_batches(data.train, num_processes=0)
    ranks = [
        list(evaluation.batches(0, batch_size, rank=rank, num_ranks=num_ranks)) for rank in range(num_ranks)
    ]
    seen = Counter(number for batches in ranks for number in all_numbers(batches))
    assert seen == Counter(range(22))
    assert all(len(batch.images) <= batch_size for batches in ranks for batch in batches)


def test_evaluation_may_be_of_some_pictures(data):
    evaluation = evaluation_batches(data.train, numbers=np.array([3, 8, 5]), num_processes=0)
    assert numbers(list(evaluation.batches(0, 2))) == [[3, 5], [8]]


def test_rows_of_parquet_files_give_the_same_pictures(tmp_path):
    files = many(tmp_path / "in")
    convert_detection(DetectionDataConfig(source=str(tmp_path / "in")), tmp_path / "out", shard_bytes=40_000)
    rows = open_detection(DetectionDataConfig(source=str(tmp_path / "out")))
    by_id = {
        rows.train.picture_ids[number]: (image, target)
        for batch in training_batches(
            rows.for_training(), UNCHANGED, seed=0, window=6, num_processes=0
        ).batches(0, 2)
        for number, image, target in zip(batch.numbers.tolist(), batch.images, batch.targets, strict=True)
    }
    assert len(by_id) == 22 and len(rows.train.pictures.ranges) > 2
    for batch in train(files).batches(0, 2):
        for number, image, target in zip(batch.numbers.tolist(), batch.images, batch.targets, strict=True):
            other_image, other = by_id[files.train.picture_ids[number]]
            assert torch.equal(image, other_image) and torch.equal(target["boxes"], other["boxes"])


def example(
    path: Path, boxes: Sequence[Sequence[float]], seed: int = 0, size: tuple[int, int] = SIZE
) -> Example:
    boxes_N4 = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    labels_N = np.arange(1, 1 + len(boxes), dtype=np.int32)
    return Example(FilePicture("", str(path)), 7, size, boxes_N4, labels_N, (seed,))


@pytest.mark.parametrize("declared", [SIZE, (0, 0)])
def test_boxes_follow_their_pixels(tmp_path, declared):
    white = np.zeros((SIZE[1], SIZE[0], 3), dtype=np.uint8)
    white[10:30, 8:20] = 255
    Image.fromarray(white).save(tmp_path / "a.png")
    flips = set()
    for seed in range(12):
        decoded = decode_example(
            example(tmp_path / "a.png", [[8, 10, 20, 30]], seed, declared),
            Augmentation(shorter_sides=(48, 96, 144), longest_side=160),
        )
        height, width, _ = decoded.pixels_HWC.shape
        assert (width, height) in ((64, 48), (128, 96), (160, 120))
        left, top, right, bottom = decoded.boxes_N4[0]
        rows, columns = np.nonzero(decoded.pixels_HWC[..., 0] > 127)
        assert np.abs([columns.min() - left, columns.max() + 1 - right]).max() <= 1
        assert np.abs([rows.min() - top, rows.max() + 1 - bottom]).max() <= 1
        flips.add(left > width / 2)
    assert flips == {True, False}


def test_mirroring_twice_gives_the_same_boxes(tmp_path):
    picture(0).save(tmp_path / "a.png")
    boxes = [[0.0, 0, 64, 48], [3.5, 4, 9.25, 40]]
    for seed in range(8):
        decoded = decode_example(example(tmp_path / "a.png", boxes, seed), Augmentation())
        mirrored_N4 = decoded.boxes_N4.copy()
        mirrored_N4[:, [0, 2]] = 64 - mirrored_N4[:, [2, 0]]
        assert boxes in (decoded.boxes_N4.tolist(), mirrored_N4.tolist())


def test_boxes_are_clipped_once_an_unknown_size_is_known(tmp_path):
    picture(0).save(tmp_path / "a.png")
    boxes = [[-5.0, 10, 30, 100], [70.0, 10, 90, 20], [10, 47.5, 20, 60]]
    decoded = decode_example(example(tmp_path / "a.png", boxes, size=(0, 0)), UNCHANGED)
    assert decoded.boxes_N4.tolist() == [[0, 10, 30, 48]] and decoded.labels_N.tolist() == [1]


def test_a_picture_without_boxes_is_an_example_too(tmp_path):
    picture(0).save(tmp_path / "a.png")
    decoded = decode_example(example(tmp_path / "a.png", []), Augmentation(shorter_sides=(30,)))
    assert decoded.boxes_N4.shape == (0, 4) and decoded.labels_N.shape == (0,)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("augmentation", [UNCHANGED, Augmentation(flip=False, shorter_sides=(24,))])
def test_exif_orientation_is_applied(tmp_path, orientation, augmentation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = picture(0, (256, 192))
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95)
    size = (192, 256) if orientation > 4 else (256, 192)
    decoded = decode_example(example(tmp_path / "a.jpg", [], size=size), augmentation)
    width, height = (24, 32) if orientation > 4 else (32, 24)
    if augmentation is UNCHANGED:
        width, height = size
    assert decoded.pixels_HWC.shape == (height, width, 3)
    # The stored top left corner is black and the bottom right one white; where they end is EXIF's definition.
    ends = {1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "tl", 6: "tr", 7: "br", 8: "bl"}[orientation]
    opposite = {"tl": "br", "br": "tl", "tr": "bl", "bl": "tr"}[ends]

    def corner(place: str) -> float:
        y = 1 if place[0] == "t" else height - 2
        x = 1 if place[1] == "l" else width - 2
        return float(decoded.pixels_HWC[y, x].mean())

    assert corner(ends) < 40 and corner(opposite) > 215


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "CMYK"])
def test_every_colour_mode_becomes_rgb(tmp_path, mode):
    ending = "jpg" if mode == "CMYK" else "png"
    picture(0, mode=mode).save(tmp_path / f"a.{ending}")
    pixels_HWC = decode_example(example(tmp_path / f"a.{ending}", []), UNCHANGED).pixels_HWC
    assert pixels_HWC.shape == (SIZE[1], SIZE[0], 3) and pixels_HWC.dtype == np.uint8


def test_a_window_holds_only_what_is_still_needed():
    pictures = FilePictures("", tuple(str(number) for number in range(2000)))
    chosen = ChosenPictures(pictures, np.arange(2000) % 2 == 0)
    plan = plan_pictures(
        chosen, np.ones((2000, 2), dtype=np.int64), shuffle=Shuffle(0, 100), epoch=0, batch_size=10, start=900
    )
    assert [len(batch) for batch in plan.batches] == [10] * 10
    assert sorted(np.concatenate(plan.units).tolist()) == sorted(np.concatenate(plan.batches).tolist())
    assert all(number % 2 == 0 for number in np.concatenate(plan.batches))
