"""CIFAR folders, .npz files and save_to_disk folders are converted; what is hostile in them is refused."""

from __future__ import annotations

import io
import json
import os
import pickle
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from raynas.cli.main import app
from raynas.data import DataConfig, load_split
from raynas.data.stream import ImageIndex
from raynas.data.stream.images import ImageSet
from raynas.errors import DataError
from tests.data.foreign_sets import NAMES, cifar_batch, pixels, png, write_cifar, write_saved


def convert(source: Path, *options: str) -> Result:
    out = source.parent / "out"
    return CliRunner().invoke(app, ["convert", str(source), str(out), *options], env={"COLUMNS": "300"})


def converted(source: Path) -> ImageIndex:
    ended = convert(source)
    assert ended.exit_code == 0, ended.output
    return ImageIndex.find(str(source.parent / "out"))


def contents(images: ImageSet | None) -> set[tuple[bytes, int]]:
    """Pixels and label of each image."""
    assert images is not None
    found = set()
    for numbers in images.pieces(None):
        piece = images.piece(numbers).read()
        for image, label in zip(piece.images, piece.labels_N.tolist(), strict=True):
            found.add((np.asarray(Image.open(io.BytesIO(image.content or b""))).tobytes(), label))
    return found


def expected(images: np.ndarray) -> set[tuple[bytes, int]]:
    return {(image.tobytes(), number % 2) for number, image in enumerate(images)}


def test_cifar_10_has_the_same_pixels_labels_and_names(tmp_path):
    index = converted(write_cifar(tmp_path / "cifar-10-batches-py"))
    batches = [expected(pixels(4, 32, seed=number)) for number in range(1, 6)]
    assert contents(index.train) == set().union(*batches)
    assert contents(index.validation) == expected(pixels(2, 32, seed=6))
    assert index.class_names == tuple(NAMES)


def test_cifar_100_has_its_fine_labels(tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name, seed in (("train", 1), ("test", 2)):
        batch = {**cifar_batch(6, seed=seed, labels="fine_labels"), "coarse_labels": [0] * 6}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": NAMES}))
    index = converted(folder)
    assert contents(index.train) == expected(pixels(6, 32, seed=1))
    assert index.class_names == tuple(NAMES)


def test_a_pickle_of_python_2_is_read(tmp_path):
    raw = cifar_batch(4, seed=1)["data"].tobytes()
    # As Python 2 wrote it: text is bytes, and arrays are made by numpy.core.
    head = b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    kind = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state = b"(K\x01K\x04M\x00\x0c\x86" + kind + b"\x89T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    content = head + state + b"U\x06labels](K\x00K\x01K\x00K\x01eu."
    index = converted(write_cifar(tmp_path / "in", {"data_batch_1": content}))
    assert expected(pixels(4, 32, seed=1)) <= contents(index.train)


class Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Calls(np.ndarray, (4, 3072)), "a call of numpy.ndarray"),
        (np.array([[None]]), "an array of the type 'O8'"),
        (np.zeros((4, 3072)), "an array of the type 'f8'"),
        (np.zeros((4, 3072), np.int64), r"'data' of .*data_batch_1 is int64 \(4, 3072\)"),
        (np.zeros((4, 3071), np.uint8), r"allowed is an array of uint8 \(N, 3072\)"),
        ([0], "'data' of .*data_batch_1 is list"),
        (None, "data_batch_1 has no key 'data', but 'data', 'labels'"),
    ],
)
def test_other_data_in_a_pickle_is_refused(tmp_path, content, message):
    folder = write_cifar(tmp_path / "in", {"data_batch_1": {**cifar_batch(4, seed=1), "data": content}})
    with pytest.raises(DataError, match=message):
        read(folder)


def read(source: Path) -> None:
    from raynas.data.stream.members import list_members

    list_members(str(source))


def test_a_pickle_that_names_a_function_is_refused_and_not_run(tmp_path):
    made = tmp_path / "made"
    folder = write_cifar(
        tmp_path / "in", {"data_batch_1": Calls(os.system, f"touch {shlex.quote(str(made))}")}
    )
    ended = convert(folder)
    assert (ended.exit_code, "the name posix.system" in ended.output) == (2, True), ended.output
    assert not made.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02cnumpy\ndtype\n}U\x01aK\x01sb.", "a change of numpy.dtype"),
        (b"\x80\x02}r\xff\xff\xff\xff.", "the place 4294967295 for a value"),
        (b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00aX\x04\x00\x00\x00zlibtR.", "the encoding 'zlib'"),
        (b"\x80\x02].", "a list in place of a dict"),
        (b"\x80\x02}", "can't be read as a pickle"),
        (b"", "can't be read as a pickle"),
    ],
)
def test_a_hostile_or_damaged_pickle_is_named(tmp_path, content, message):
    with pytest.raises(DataError, match=f"data_batch_1 .*{message}"):
        read(write_cifar(tmp_path / "in", {"data_batch_1": content}))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 0], r"'labels' of .* shape \(3,\).*4 images"),
        ([0, 1, 0, 2], r"'labels' of .* label 2 in row 3 .* 0 to 1"),
        ([0, 1, 0, -1], "label -1 in row 3"),
        (["a"] * 4, "'labels' of .* not a list of integers"),
    ],
)
def test_labels_of_cifar_that_are_none_are_named(tmp_path, labels, message):
    batch = {**cifar_batch(4, seed=1), "labels": labels}
    with pytest.raises(DataError, match=message):
        read(write_cifar(tmp_path / "in", {"data_batch_1": batch}))


@pytest.mark.parametrize(
    ("train", "held_out", "name"),
    [
        (("x_train", "y_train"), ("x_test", "y_test"), "test"),
        (("train_images", "train_labels"), ("val_images", "val_labels"), "validation"),
    ],
)
@pytest.mark.parametrize("shape", [(), (1,), (3,)], ids=["grey", "one channel", "rgb"])
def test_arrays_have_the_same_pixels_and_labels(tmp_path, train, held_out, name, shape):
    images = pixels(9)[..., 0] if not shape else pixels(9)[..., : shape[0]]
    labels = np.arange(6) % 2
    arrays: dict[str, Any] = {
        train[0]: images[:6],
        train[1]: labels,
        held_out[0]: images[:3],
        held_out[1]: labels[:3, None],
    }
    np.savez_compressed(tmp_path / "in.npz", **arrays)
    index = converted(tmp_path / "in.npz")
    assert contents(index.train) == expected(images[:6])
    assert contents(index.validation) == expected(images[:3])
    assert len(list((tmp_path / "out").glob(f"{name}-*.parquet"))) == 1


def test_a_test_set_beside_validation_arrays_is_left_out(tmp_path):
    parts = {name: (pixels(4), np.arange(4) % 2) for name in ("train", "val", "test")}
    arrays: dict[str, Any] = {f"{name}_images": images for name, (images, _) in parts.items()}
    arrays |= {f"{name}_labels": labels for name, (_, labels) in parts.items()}
    np.savez(tmp_path / "in.npz", **arrays)
    ended = convert(tmp_path / "in.npz")
    assert "left out: 4 images of a test set that is not needed (test_images)" in ended.output, ended.output
    assert [file.name[:5] for file in sorted((tmp_path / "out").glob("*.parquet"))] == ["train", "valid"]


def test_arrays_without_a_held_out_part_are_all_for_training(tmp_path):
    np.savez(tmp_path / "in.npz", images=pixels(6), labels=np.arange(6) % 2)
    assert converted(tmp_path / "in.npz").validation is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": pixels(4), "labels": np.array([0, 1, None, 1])}, "'labels' .*type object"),
        ({"images": pixels(4), "labels": np.eye(4, 2, dtype=int)}, r"'labels' .*shape \(4, 2\)"),
        ({"images": pixels(4), "labels": np.arange(3)}, r"'labels' .*shape \(3,\).*4 images"),
        ({"images": pixels(4), "labels": np.zeros(4)}, "'labels' .*type float64"),
        ({"images": pixels(4), "labels": -np.arange(4)}, "'labels' .*label -1 in row 1"),
        ({"images": pixels(4) / 255, "labels": np.arange(4)}, "'images' .*type float64"),
        ({"images": pixels(4)[..., :2], "labels": np.arange(4)}, r"'images' .*shape \(4, 8, 8, 2\)"),
        ({"images": pixels(4, 3), "labels": np.arange(4)}, "at least 4 pixels"),
        ({"images": pixels(4), "y": np.arange(4)}, "has the keys images, y. Needed are x_train and y_train"),
        (
            {"x_train": pixels(4), "y_train": np.arange(4), "x_test": pixels(4)},
            "Needed are x_test and y_test",
        ),
    ],
)
def test_arrays_that_can_not_be_used_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "in.npz", **arrays)
    with pytest.raises(DataError, match=f"in.npz.*{message}|{message}"):
        read(tmp_path / "in.npz")


def test_an_array_that_is_too_large_is_refused_by_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr("raynas.data.foreign.npz.MAX_BYTES", 700)
    np.savez(tmp_path / "in.npz", images=pixels(4), labels=np.arange(4))
    with pytest.raises(DataError, match=r"'images' .*shape \(4, 8, 8, 3\), which are 768 bytes"):
        read(tmp_path / "in.npz")


def test_a_damaged_npz_file_is_named(tmp_path):
    (tmp_path / "in.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match=r"in\.npz can't be read as a \.npz file"):
        read(tmp_path / "in.npz")


def saved_set(folder: Path) -> Path:
    """A DatasetDict with train and test."""
    for name, seed in (("train", 1), ("test", 2)):
        write_saved(folder / name, [png(image) for image in pixels(8, seed=seed)], [0, 1] * 4)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    return folder


def test_a_saved_data_set_has_the_same_images_labels_and_names(tmp_path):
    index = converted(saved_set(tmp_path / "in"))
    assert contents(index.train) == expected(pixels(8, seed=1))
    assert contents(index.validation) == expected(pixels(8, seed=2))
    assert index.class_names == tuple(NAMES)
    assert len(list((tmp_path / "out").glob("test-*.parquet"))) == 1


def test_a_saved_split_alone_is_for_training(tmp_path):
    index = converted(write_saved(tmp_path / "in", [png(image) for image in pixels(8)], [0, 1] * 4))
    assert (contents(index.train), index.validation) == (expected(pixels(8)), None)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("dataset_dict.json", b'{"splits": ["../train"]}', r"'splits' of .* has '\.\./train'"),
        ("dataset_dict.json", b'{"splits": [1]}', "'splits' of .* has 1"),
        ("dataset_dict.json", b'{"splits": ["test"]}', "splits test, and none for training"),
        ("train/state.json", b'{"_data_files": [{"filename": "/etc/x"}]}', "has '/etc/x'"),
        ("train/state.json", b"{}", "'_data_files' of .*state.json lists nothing"),
        ("train/state.json", b"[", "state.json can't be read"),
        (
            "train/data-00000-of-00001.arrow",
            b"\xff\xff\xff\xff\x08",
            "arrow can't be read as a stream of Arrow",
        ),
    ],
)
def test_a_damaged_saved_data_set_is_named(tmp_path, file, content, message):
    folder = saved_set(tmp_path / "in")
    (folder / file).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(folder)


@pytest.mark.parametrize(("label", "message"), [(2, "label 2; allowed are 0 to 1"), (None, "label null")])
def test_saved_labels_that_are_none_are_named(tmp_path, label, message):
    with pytest.raises(DataError, match=f"Row 1 .*arrow has the {message}"):
        read(write_saved(tmp_path / "in", [png(image) for image in pixels(2)], [0, label]))


def test_a_saved_row_without_bytes_is_named(tmp_path):
    ended = convert(write_saved(tmp_path / "in", [png(pixels(1)[0]), None], [0, 1]))
    assert (ended.exit_code, "Row 1 " in ended.output) == (2, True), ended.output


@pytest.mark.parametrize("make", [write_cifar, saved_set], ids=["CIFAR", "saved"])
@pytest.mark.parametrize("open_source", [
    lambda source: load_split(DataConfig(source=source), seed=0),
    ImageIndex.find,
], ids=["in memory", "streamed"])  # fmt: skip
def test_a_foreign_format_as_data_is_answered_with_the_command_that_converts_it(tmp_path, make, open_source):
    source = make(tmp_path / "my set")
    with pytest.raises(DataError) as caught:
        open_source(str(source))
    command = next(line for line in str(caught.value).splitlines() if "raynas convert" in line)
    assert shlex.split(command) == ["raynas", "convert", str(source), "my set-shards"]
