"""The child loop: what it reports, how it ends, and that it repeats bit for bit."""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from raynas.child import EpochReport
from raynas.data import DataConfig, load_split
from raynas.nn import Network, NetworkConfig
from raynas.nn.drop_path import DropPath
from raynas.nn.eager_optimizers import SGD
from raynas.training.child import train_child
from raynas.training.images import DeviceImages
from search_spaces.nasnet import NASNET_A
from tests.nn.small_networks import TINY
from tests.training.tiny_children import NETWORK, child_config, digits, made_up_split, train


def without_seconds(result):
    curve = tuple(report.model_copy(update={"seconds": 0.0}) for report in result.curve)
    return result.model_copy(update={"seconds": 0.0, "curve": curve})


def network_for(images: DeviceImages, config: NetworkConfig = NETWORK) -> Network:
    split = images.split
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(
            TINY,
            config,
            in_channels=split.num_channels,
            num_classes=split.num_classes,
            image_size=split.image_size,
        )


class OneWeight(nn.Module):
    """Logits of 0 at first, with one weight to move; in training with a second head where asked."""

    def __init__(self, *, num_classes: int = 10, has_auxiliary: bool = False) -> None:
        super().__init__()
        self.main = nn.Parameter(torch.zeros(num_classes))
        self.auxiliary = nn.Parameter(torch.zeros(num_classes))
        self.has_auxiliary = has_auxiliary

    def forward(self, images_NCHW):
        logits_NK = self.main.expand(len(images_NCHW), -1)
        if self.training and self.has_auxiliary:
            return logits_NK, self.auxiliary.expand(len(images_NCHW), -1)
        return logits_NK


@pytest.fixture
def at_each_step(monkeypatch) -> Callable[[Callable[[torch.optim.Optimizer], None]], None]:
    """Calls a function with the optimiser before each of its steps."""

    def install(look):
        step = SGD.step

        def spied(self, *args, **options):
            look(self)
            return step(self, *args, **options)

        monkeypatch.setattr(SGD, "step", spied)

    return install


@pytest.fixture(scope="module")
def augmented():
    """One child with all that draws at random."""
    fields: dict[str, Any] = {"augmentation": {"crop_padding": 1, "flip": True, "cutout": 2}}
    network = NETWORK.model_copy(update={"drop_path": 0.3, "dropout": 0.3, "auxiliary_head": True})
    return lambda seed: without_seconds(train(NASNET_A, seed=seed, network=network, **fields))


def test_same_seed_gives_the_same_result_bit_for_bit(augmented):
    first = augmented(1)
    torch.rand(5)
    assert augmented(1) == first


@pytest.mark.slow
def test_other_seed_gives_another_result(augmented):
    assert augmented(1) != augmented(2)


@pytest.mark.slow
def test_small_nasnet_a_learns_digits():
    images = DeviceImages(load_split(DataConfig(validation_images=179), seed=0))
    result = train(NASNET_A, images=images, epochs=2, batch_size=64, learning_rate=0.1)
    assert result.status == "completed"
    assert result.accuracy > 0.8


def test_each_epoch_is_reported_once_and_in_order():
    reports: list[EpochReport] = []
    result = train(epochs=4, report_epoch=reports.append)
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert all(0 <= report.accuracy <= 1 and math.isfinite(report.train_loss) for report in reports)
    assert [report.seconds for report in reports] == sorted(report.seconds for report in reports)
    assert result.curve == tuple(reports)
    assert result.accuracy == reports[-1].accuracy


def test_report_comes_before_the_next_epoch_begins():
    events = []
    train(report_epoch=lambda _: events.append("report"), should_stop=lambda: events.append("step"))
    assert events == ["step"] * 3 + ["report"] + ["step"] * 3 + ["report"]


def test_accuracy_is_the_share_of_validation_images_classified_rightly():
    images = digits()
    network = network_for(images)
    result = train_child(network, images, child_config(), seed=0)
    split, network = images.split, network.eval()
    right = 0
    for image_HWC, label in zip(split.validation_images_NHWC, split.validation_labels_N, strict=True):
        pixels = (image_HWC / 255.0 - split.mean_C) / split.std_C
        image_CHW = torch.tensor(pixels, dtype=torch.float32).permute(2, 0, 1)
        with torch.no_grad():
            logits_K = network(image_CHW[None])[0]
        right += int(logits_K.argmax() == label)
    assert result.accuracy == pytest.approx(right / len(split.validation_labels_N), abs=1e-6)


@pytest.mark.parametrize("learning_rate", [1e10, 1e30])
def test_diverging_child_fails_at_once_with_a_reason(learning_rate):
    steps: list[int] = []
    reports: list[EpochReport] = []
    result = train(
        learning_rate=learning_rate,
        epochs=5,
        report_epoch=reports.append,
        should_stop=lambda: steps.append(1),
    )
    assert (result.status, result.accuracy) == ("failed", None)
    assert "in epoch" in result.reason or "after epoch" in result.reason
    assert len(steps) < 5 * 3
    assert len(result.curve) == len(reports) < 5


def test_child_that_diverges_in_its_last_step_fails():
    result = train(learning_rate=1e30, epochs=1, batch_size=96)
    assert (result.status, result.accuracy) == ("failed", None)


def test_nothing_is_learned_from_a_loss_that_is_not_finite(at_each_step):
    steps: list[Any] = []
    at_each_step(steps.append)
    network = OneWeight()
    with torch.no_grad():
        network.main.fill_(math.inf)
    assert train_child(network, digits(), child_config(), seed=0).status == "failed"
    assert not steps


def test_stop_ends_the_child_before_the_next_step_with_its_last_accuracy(at_each_step):
    steps: list[Any] = []
    answers = itertools.chain([False] * 4, itertools.repeat(True))
    at_each_step(steps.append)
    result = train(epochs=3, should_stop=lambda: next(answers))
    assert len(steps) == 4
    assert (result.status, len(result.curve)) == ("stopped", 1)
    assert result.accuracy == result.curve[0].accuracy


def test_stop_before_the_first_step_leaves_no_accuracy(at_each_step):
    steps: list[Any] = []
    at_each_step(steps.append)
    result = train(should_stop=lambda: True)
    assert (result.status, result.accuracy, result.curve, steps) == ("stopped", None, (), [])


@pytest.mark.parametrize("batch_size", [96, 97, 5000])
def test_batch_may_be_larger_than_the_data(batch_size):
    asked = []
    result = train(epochs=2, batch_size=batch_size, should_stop=lambda: asked.append(1))
    assert result.status == "completed"
    assert len(asked) == 2


def test_learning_rate_follows_one_cosine_down_to_0(at_each_step):
    rates, optimizers = [], []

    def look(optimizer):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizers.append(optimizer)

    at_each_step(look)
    train(epochs=4, learning_rate=0.2)
    expected = [0.1 * (1 + math.cos(math.pi * step / 12)) for step in range(12)]
    assert rates == pytest.approx(expected)
    assert optimizers[-1].param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)


def test_gradient_is_clipped_to_its_largest_norm(at_each_step):
    norms = []

    def look(optimizer):
        gradients = [
            p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None
        ]
        norms.append(torch.cat([gradient.flatten() for gradient in gradients]).norm().item())

    at_each_step(look)
    train(gradient_clip=0.01)
    assert norms == pytest.approx([0.01] * 6, rel=1e-3)
    norms.clear()
    train(gradient_clip=1e6)
    assert min(norms) > 0.01


def test_optimiser_is_nesterov_sgd_with_the_configs_numbers(at_each_step):
    seen = []
    at_each_step(lambda optimizer: seen.append(optimizer.param_groups[0]))
    train(momentum=0.7, weight_decay=0.001)
    assert (seen[0]["momentum"], seen[0]["nesterov"], seen[0]["weight_decay"]) == (0.7, True, 0.001)


def test_momentum_of_0_trains():
    assert train(momentum=0.0).status == "completed"


@pytest.mark.parametrize("weight", [0.0, 0.4, 2.0])
def test_auxiliary_loss_is_added_with_its_weight(weight):
    config = child_config(epochs=1, batch_size=96, auxiliary_weight=weight)
    result = train_child(OneWeight(has_auxiliary=True), digits(), config, seed=0)
    assert result.curve[0].train_loss == pytest.approx((1 + weight) * math.log(10), rel=1e-5)


def test_auxiliary_gradient_is_scaled_by_its_weight():
    network = OneWeight(has_auxiliary=True)
    fields = {"weight_decay": 0.0, "gradient_clip": 1e6, "auxiliary_weight": 0.25}
    train_child(network, digits(), child_config(epochs=1, batch_size=96, **fields), seed=0)
    assert network.main.abs().sum() > 0
    assert torch.allclose(network.auxiliary, 0.25 * network.main)


def test_train_loss_is_the_mean_over_the_epochs_steps():
    config = child_config(epochs=1, learning_rate=1e-12)
    result = train_child(OneWeight(), digits(), config, seed=0)
    assert result.curve[0].train_loss == pytest.approx(math.log(10), rel=1e-6)


def test_drop_path_progress_grows_over_all_steps(at_each_step):
    progress = []
    images = digits()
    network = network_for(images, NETWORK.model_copy(update={"drop_path": 0.3}))
    path = next(module for module in network.modules() if isinstance(module, DropPath))
    at_each_step(lambda _: progress.append(path.progress))
    train_child(network, images, child_config(epochs=2), seed=0)
    assert progress == pytest.approx([step / 6 for step in range(6)])


def test_network_and_batches_are_channels_last():
    images = DeviceImages(made_up_split())
    network = network_for(images)
    seen = []
    network.register_forward_hook(lambda *call: seen.append(call[1][0]))
    train_child(network, images, child_config(batch_size=8), seed=0)
    assert all(batch.is_contiguous(memory_format=torch.channels_last) for batch in seen)
    assert network.stem[0][0].weight.is_contiguous(memory_format=torch.channels_last)


def test_network_is_evaluated_in_evaluation_mode_and_trained_in_training_mode():
    images = digits()
    network = network_for(images)
    modes = []
    network.register_forward_hook(lambda *call: modes.append((call[0].training, torch.is_grad_enabled())))
    train_child(network, images, child_config(), seed=0)
    epoch = [(True, True)] * 3 + [(False, False)]
    assert modes == epoch + epoch


def test_bfloat16_trains_on_any_cpu():
    result = train(precision="bfloat16", epochs=1)
    assert result.status == "completed"
    assert math.isfinite(result.curve[0].train_loss)


def test_child_leaves_the_callers_random_state_and_threads_alone():
    before = torch.get_rng_state(), torch.get_num_threads()
    train(epochs=1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_result_says_how_long_it_took():
    result = train(epochs=1)
    assert result.seconds >= result.curve[0].seconds > 0
