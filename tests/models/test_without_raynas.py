"""Exported files give the network's own logits on a hundred real images, where raynas can't be imported."""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from raynas.models.export import Exported, ExportFormat, export_model
from tests.models.small_models import SMALL_MODELS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4
RUNNABLE: tuple[ExportFormat, ...] = ("onnx", "pt2")
WITH_PICTURE = ("nasbench201", "mixed")
"""One for grey pictures and one for colour."""


def picture() -> Image.Image:
    """Neither square nor of the networks' size."""
    values_HWC = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(values_HWC).resize((70, 51), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def exported(models, images_NCHW, tmp_path_factory) -> dict[tuple[str, str], Exported[Any]]:
    """Every model in both formats, each in a folder of its own, already run by the outsider."""
    folder = tmp_path_factory.mktemp("exported")
    done: dict[tuple[str, str], Exported[Any]] = {}
    for name, model in models.items():
        for format in RUNNABLE:
            done[name, format] = export_model(model, format, folder / f"{name}-{format}" / f"{name}.{format}")
            beside = done[name, format].file.parent
            np.save(beside / "images.npy", images_NCHW[:, : model.info.in_channels].numpy())
            if name in WITH_PICTURE:
                picture().save(beside / "picture.jpg", format="PNG")
    words = [sys.executable, "-I", str(Path(__file__).with_name("outsider.py")), str(folder)]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return done


@pytest.mark.parametrize("format", RUNNABLE)
@pytest.mark.parametrize("name", SMALL_MODELS)
@torch.no_grad()
def test_the_file_gives_the_same_logits_at_any_batch_size(exported, models, images_NCHW, name, format):
    network, channels = models[name].network, models[name].info.in_channels
    expected_NK = network(images_NCHW[:, :channels])
    assert expected_NK.abs().max() > 1.0
    with np.load(f"{exported[name, format].file}.npz") as logits:
        for number in (1, 7, 100):
            np.testing.assert_allclose(
                logits[str(number)], expected_NK[:number].numpy(), atol=TOLERANCE, rtol=0
            )


@pytest.mark.parametrize("format", RUNNABLE)
@pytest.mark.parametrize("name", WITH_PICTURE)
@torch.no_grad()
def test_the_code_in_the_card_runs_and_prepares_pictures_as_raynas_does(exported, models, name, format):
    info = models[name].info
    image_CHW = info.preprocessing(picture())
    with np.load(f"{exported[name, format].file}.npz") as logits:
        expected_NK = models[name].network(image_CHW[None]).numpy()
        np.testing.assert_allclose(logits["card"], expected_NK, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("format", RUNNABLE)
def test_what_is_reported_was_measured(exported, format):
    result = exported["nasnet_a", format]
    assert 0 <= result.largest_difference < TOLERANCE
    assert result.num_bytes == result.file.stat().st_size
    assert result.card.is_file() and result.picture.is_file()


@pytest.mark.parametrize("format", RUNNABLE)
def test_no_path_of_this_machine_is_in_the_file(exported, format):
    for name in SMALL_MODELS:
        assert str(ROOT).encode() not in exported[name, format].file.read_bytes()


def test_the_auxiliary_head_is_left_out(exported, models):
    auxiliary = models["nasnet_a"].network.auxiliary
    assert auxiliary is not None
    num_bytes = 4 * sum(parameter.numel() for parameter in auxiliary.parameters())
    for format in RUNNABLE:
        assert exported["nasnet_a", format].num_bytes < num_bytes


def test_without_onnxruntime_the_onnx_file_is_only_checked(exported, monkeypatch, images_NCHW):
    from raynas.models import export as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    file = exported["darts_v2", "onnx"].file
    assert module._run_onnx(file, images_NCHW) is None
