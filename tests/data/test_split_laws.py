"""Laws of every split, whatever the kind of data set."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from raynas.data import DataConfig, ImageSplit, load_split
from raynas.errors import DataError
from tests.data.builders import NUM_IMAGES, pictures, write_parquet


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_parquet(tmp_path_factory.mktemp("laws") / "all.parquet"))


def rows(images_NHWC: np.ndarray) -> list[int]:
    return [int(image.flat[0]) // 10 for image in images_NHWC]


def split(source: str, *, seed: int = 0, **options: int) -> ImageSplit:
    return load_split(DataConfig(source=source, **options), seed=seed)


counts = st.integers(1, NUM_IMAGES - 2).flatmap(
    lambda validation: st.tuples(st.integers(2, NUM_IMAGES - validation), st.just(validation))
)
"""Numbers of training and validation images: together at most all images, at least two for training."""

few_examples = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@few_examples
@given(counts=counts, seed=st.integers(0, 2**32))
def test_train_and_validation_are_disjoint_and_as_many_as_asked(source, counts, seed):
    found = split(source, seed=seed, train_images=counts[0], validation_images=counts[1])
    train, validation = rows(found.train_images_NHWC), rows(found.validation_images_NHWC)
    assert (len(train), len(validation)) == counts
    assert len(set(train) | set(validation)) == sum(counts)


@few_examples
@given(counts=counts, seed=st.integers(0, 2**32))
def test_every_image_keeps_its_label(source, counts, seed):
    found = split(source, seed=seed, train_images=counts[0], validation_images=counts[1])
    assert [row % 2 for row in rows(found.train_images_NHWC)] == found.train_labels_N.tolist()
    assert [row % 2 for row in rows(found.validation_images_NHWC)] == found.validation_labels_N.tolist()


@few_examples
@given(counts=counts, seed=st.integers(0, 2**32))
def test_validation_does_not_depend_on_train_images(source, counts, seed):
    few = split(source, seed=seed, train_images=2, validation_images=counts[1])
    more = split(source, seed=seed, train_images=counts[0], validation_images=counts[1])
    assert rows(few.validation_images_NHWC) == rows(more.validation_images_NHWC)
    assert rows(few.train_images_NHWC) == rows(more.train_images_NHWC)[:2]


def test_same_seed_gives_same_split(source):
    one, other = split(source, seed=3), split(source, seed=3)
    np.testing.assert_array_equal(one.train_images_NHWC, other.train_images_NHWC)
    np.testing.assert_array_equal(one.validation_labels_N, other.validation_labels_N)


def test_other_seed_gives_other_split(source):
    assert rows(split(source, seed=3).train_images_NHWC) != rows(split(source, seed=4).train_images_NHWC)


def test_the_digest_tells_whether_images_labels_and_their_parts_are_the_same(source):
    mine = split(source)
    labels = mine.validation_labels_N.copy()
    labels[0] = 1 - labels[0]
    others = [
        split(source, seed=1),
        split(source, train_images=5),
        dataclasses.replace(mine, validation_labels_N=labels),
        dataclasses.replace(mine, num_classes=mine.num_classes + 1),
    ]
    assert split(source).digest() == mine.digest()
    assert len({mine.digest(), *(other.digest() for other in others)}) == 5


def test_split_depends_only_on_seed_and_number_of_rows(source, tmp_path):
    other = write_parquet(tmp_path / "b.parquet", image_column="img", class_names=None, row_group_size=20)
    one = split(source, seed=5).train_images_NHWC
    np.testing.assert_array_equal(one, split(str(other), seed=5).train_images_NHWC)


def test_a_tenth_is_held_out_unless_told(source):
    found = split(source)
    assert (len(found.train_labels_N), len(found.validation_labels_N)) == (18, 2)


def test_train_takes_what_validation_leaves(source):
    assert len(split(source, validation_images=5).train_labels_N) == 15


def test_arrays_are_read_only_and_of_the_promised_types(source):
    found = split(source)
    images = (found.train_images_NHWC, found.validation_images_NHWC)
    labels = (found.train_labels_N, found.validation_labels_N)
    assert all(array.dtype == np.uint8 and not array.flags.writeable for array in images)
    assert all(array.dtype == np.int64 and not array.flags.writeable for array in labels)
    with pytest.raises(ValueError, match="read-only"):
        found.train_images_NHWC[0] = 0


def test_out_of_band_pickling_copies_no_image(source):
    found = split(source)
    buffers: list[pickle.PickleBuffer] = []
    frame = pickle.dumps(found, protocol=5, buffer_callback=buffers.append)
    assert len(frame) < 2_000
    restored = pickle.loads(frame, buffers=buffers)
    np.testing.assert_array_equal(restored.train_images_NHWC, found.train_images_NHWC)


def test_statistics_are_those_of_the_training_pixels(source):
    found = split(source, train_images=7, validation_images=3)
    pixels = found.train_images_NHWC.reshape(-1, 3) / 255
    np.testing.assert_allclose(found.mean_C, pixels.mean(axis=0))
    np.testing.assert_allclose(found.std_C, pixels.std(axis=0))


def test_std_of_constant_images_is_not_zero(tmp_path):
    path = write_parquet(tmp_path / "c.parquet", images=[pictures()[3]] * NUM_IMAGES)
    assert split(str(path)).std_C == (1.0, 1.0, 1.0)


def test_more_images_than_there_are_is_refused_with_the_numbers(source):
    with pytest.raises(DataError, match=r"20 images, but 18 for training and 3 .*data\.train_images"):
        split(source, train_images=18, validation_images=3)


def test_validation_that_leaves_no_training_image_is_refused(source):
    with pytest.raises(DataError, match=r"1 for training and 20 for validation"):
        split(source, validation_images=20)


def test_less_than_one_validation_image_is_refused(tmp_path):
    path = write_parquet(tmp_path / "few.parquet", images=pictures(9))
    with pytest.raises(DataError, match=r"tenth of the 9 images .*data\.validation_images"):
        split(str(path))


def test_fewer_training_images_than_classes_are_refused(source):
    with pytest.raises(DataError, match=r"1 training images and 2 classes"):
        split(source, train_images=1)


def test_a_single_class_is_refused(tmp_path):
    path = write_parquet(tmp_path / "one.parquet", class_names=["cat"], labels=[0] * NUM_IMAGES)
    with pytest.raises(DataError, match=r"1 class \(cat\)"):
        split(str(path))


@pytest.mark.parametrize(
    "options",
    [{"train_images": 0}, {"validation_images": 0}, {"image_size": 3}, {"source": ""}, {"label_column": ""}],
)
def test_config_refuses_values_out_of_bounds(options):
    with pytest.raises(ValidationError):
        DataConfig(**options)


def test_every_config_field_has_a_doc_line():
    assert all(field.description for field in DataConfig.model_fields.values())


def test_unselected_rows_are_not_decoded(tmp_path):
    intact = split(str(write_parquet(tmp_path / "a.parquet")), train_images=4, validation_images=2)
    selected = {*rows(intact.train_images_NHWC), *rows(intact.validation_images_NHWC)}
    images = [image if row in selected else b"corrupt" for row, image in enumerate(pictures())]
    path: Path = write_parquet(tmp_path / "b.parquet", images=images)
    again = split(str(path), train_images=4, validation_images=2)
    np.testing.assert_array_equal(again.train_images_NHWC, intact.train_images_NHWC)
