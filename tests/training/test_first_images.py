"""D1: settings in pixels fit the images, digits aren't mirrored, and training looks at what it is fed."""

# Shapes: N images, H x W pixels, C channels.

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from raynas.cli.terminal.train_plan import plan_lines
from raynas.data import DataConfig, load_split
from raynas.data.classes import are_digits
from raynas.errors import DataError, InvalidConfig, UsageError
from raynas.programs.search.execute import execute
from raynas.programs.search.prepare import prepare_search
from raynas.programs.search.recipes import search_config
from raynas.programs.train.prepare import prepare_training
from raynas.programs.train.worker import WorkerInput, build_training
from raynas.training.classification import classifier_training
from raynas.training.config import AugmentationConfig
from raynas.training.device import Placement
from raynas.training.first_images import ENOUGH_IMAGES, FirstImages
from raynas.training.images import DeviceImages
from search_spaces.nasnet import NASNET_A
from tests.training.final_runs import final_config, network, source
from tests.training.tiny_children import made_up_split, train

SMALL = {"cells_per_stack": 1, "filters": 4, "auxiliary_head": False}


def tree(folder, size, names=("a", "b"), images=12):
    rng = np.random.default_rng(size)
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(images):
            pixels_HWC = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
            Image.fromarray(pixels_HWC).save(folder / name / f"{number}.png")
    return folder


def prepared(folder, **settings):
    settings = {"training": {"batch_size": 8, "epochs": 1}, "network": SMALL, **settings}
    return prepare_training(
        NASNET_A, cell="nasnet_a", recipe="cifar_final", out=folder / "out", settings=settings
    )


def built(training):
    return build_training(
        Placement(), WorkerInput(training.data), folder=training.folder, config=training.config
    )


@pytest.mark.parametrize("size", [8, 12, 16, 20, 28, 32, 64])
def test_d1_the_recipes_cutout_is_half_the_side_whatever_the_images(tmp_path, size):
    training = built(prepared(tmp_path, data={"source": str(tree(tmp_path / "tree", size))}))
    images_NCHW = next(iter(training.batches.train_batches(0, 8, rank=0, num_ranks=1))).images_NCHW
    assert (images_NCHW == 0).float().mean() < 0.45
    assert training.batches.augmentation.cutout_size(size) == size // 2


@pytest.mark.parametrize("recipe", ["cifar_final", "small", "nasnet_paper", "amoebanet_paper"])
def test_d1_no_recipe_of_a_search_or_promotion_blanks_small_images(recipe):
    config = search_config(recipe, {"data": {"source": "elsewhere"}}).child.augmentation
    images = DeviceImages(made_up_split(size=8))
    images_NCHW, _ = images.batch(torch.arange(24), config, torch.Generator().manual_seed(0))
    assert (images_NCHW == 0).float().mean() < 0.45


def test_d1_the_digits_and_cifar_are_trained_as_before():
    digits = search_config("cifar_final").child.augmentation
    cifar = search_config("cifar_final", {"data": {"source": "cifar"}}).child.augmentation
    assert (digits.cutout_size(8), digits.flip) == (4, False)
    assert (cifar.cutout_size(32), cifar.padding(32)) == (16, 4)
    assert cifar.mirrors(("airplane", "cat")) and cifar.mirrors(None)


def test_d1_a_cutout_that_was_recorded_in_pixels_stays_in_pixels():
    recorded = AugmentationConfig.model_validate_json('{"crop_padding": null, "flip": true, "cutout": 16}')
    assert [recorded.cutout_size(size) for size in (16, 32, 224)] == [16, 16, 16]
    assert recorded.mirrors(tuple("0123456789"))
    assert AugmentationConfig.model_validate_json(recorded.model_dump_json()) == recorded
    assert isinstance(AugmentationConfig(cutout=0.5).model_dump()["cutout"], float)


@pytest.mark.parametrize("cutout", [-1, 1.5, -0.5])
def test_d1_a_cutout_that_is_neither_pixels_nor_a_fraction_is_refused(cutout):
    with pytest.raises(InvalidConfig, match=r"cutout = .*a fraction of the image's side below 1"):
        search_config(settings={"child": {"augmentation": {"cutout": cutout}}})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (tuple("0123456789"), True),
        (("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), True),
        (("0 - zero", "1 - one", *"23456789"), True),
        (tuple(f"digit_{number}" for number in range(10)), True),
        (("0", "1"), False),
        (("01", *"123456789"), False),
        (tuple(str(number) for number in range(11)), False),
        (("cat", "dog"), False),
        (("___", ""), False),
        (None, False),
    ],
)
def test_d1_classes_that_are_the_ten_digits_are_known_by_their_names(names, expected):
    assert are_digits(names) == expected


def test_d1_digits_from_a_disk_are_not_mirrored_and_the_plan_says_so(tmp_path):
    digits = prepared(tmp_path, data={"source": str(tree(tmp_path / "mnist", 8, "0123456789", images=3))})
    text = "\n".join(plan_lines(digits))
    assert "not mirrored, as the classes are the ten digits (augmentation.flip)" in text
    assert "1 pixels of padding" in text and "cutout of 4x4 pixels" in text
    asked = {"source": str(tmp_path / "mnist"), "augmentation": {"flip": True}}
    assert "padding, mirrored (augmentation.flip)" in "\n".join(plan_lines(prepared(tmp_path, data=asked)))
    others = prepared(tmp_path, data={"source": str(tree(tmp_path / "others", 8))})
    assert "padding, mirrored (augmentation.flip)" in "\n".join(plan_lines(others))


def test_d1_streamed_images_are_mirrored_by_the_same_setting(tmp_path):
    for part in ("train", "val"):
        tree(tmp_path / "mnist" / part, 8, "0123456789", images=2)
    for flip, expected in ((None, False), (True, True), (False, False)):
        data = {"source": str(tmp_path / "mnist"), "streamed": True, "augmentation": {"flip": flip}}
        training = prepared(tmp_path, data={**data, "image_size": 16})
        assert built(training).batches.train.transform.flip == expected
        assert f"{'' if expected else 'not '}mirrored" in "\n".join(plan_lines(training))


BLANK = AugmentationConfig(cutout=16)


def test_d1_a_final_training_on_blank_images_is_refused_before_and_when_it_starts(tmp_path):
    folder = tree(tmp_path / "tree", 8)
    with pytest.raises(DataError, match=r"8x8 pixels, are all zero.*augmentation\.cutout"):
        prepared(tmp_path, data={"source": str(folder), "augmentation": {"cutout": 16}})
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="are all zero"):
        classifier_training(network(), source(augmentation=BLANK), final_config(), Placement()).run()


def test_d1_a_child_on_blank_images_and_a_search_are_refused(tmp_path):
    with pytest.raises(DataError, match="are all zero"):
        train(augmentation={"cutout": 16})
    settings = {"child": {"augmentation": {"cutout": 16}}}
    with pytest.raises(UsageError, match="are all zero"):
        execute(prepare_search(data=tree(tmp_path / "tree", 8), out=tmp_path / "run", settings=settings))
    assert not (tmp_path / "run").exists()


def look(images_NCHW, labels_N=None):
    first = FirstImages()
    for start in range(0, len(images_NCHW), 4):
        labels = torch.arange(4) if labels_N is None else labels_N[start : start + 4]
        first.look(images_NCHW[start : start + 4], labels)


def test_d1_images_that_are_equal_or_not_finite_are_refused():
    noise_NCHW = torch.randn(ENOUGH_IMAGES, 1, 4, 4)
    look(noise_NCHW)
    look(torch.ones(4, 1, 4, 4))
    with pytest.raises(DataError, match="are all the same"):
        look(torch.ones(ENOUGH_IMAGES, 1, 4, 4))
    with pytest.raises(DataError, match="are all the same"):
        look(noise_NCHW[:1].repeat(ENOUGH_IMAGES, 1, 1, 1))
    for value in (torch.nan, torch.inf):
        with pytest.raises(DataError, match="not finite"):
            look(torch.full((4, 1, 4, 4), value))


def test_d1_images_of_one_class_are_said(caplog):
    noise_NCHW = torch.randn(ENOUGH_IMAGES, 1, 4, 4)
    with caplog.at_level(logging.WARNING):
        look(noise_NCHW, torch.zeros(ENOUGH_IMAGES, dtype=torch.long))
        assert "are all of class 0" in caplog.text
        caplog.clear()
        look(noise_NCHW)
    assert not caplog.text


def test_d1_black_images_are_refused(tmp_path):
    split = load_split(DataConfig(source=str(tree(tmp_path, 8))), seed=0)
    black = dataclasses.replace(split, train_images_NHWC=np.zeros_like(split.train_images_NHWC))
    with pytest.raises(DataError, match=r"all zero|all the same"):
        train(images=DeviceImages(black), augmentation={"crop_padding": 0})
