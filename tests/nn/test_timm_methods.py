"""The methods and attributes that timm's models have."""

# Shapes: N images, C channels, H x W pixels, F features, K classes.

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from raynas.cells.block import Block
from raynas.cells.genotype import CellGenotype, Genotype
from raynas.nn import NetworkConfig
from search_spaces.nasnet import NASNET_A
from tests.nn.small_networks import (
    TINY,
    assert_finite_gradients,
    genotypes,
    meta_images,
    meta_network,
    network_configs,
    outputs_of,
    small_network,
    smallest_image,
)

IMAGES = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
ONE_INPUT = Genotype(
    CellGenotype((Block(0, "conv_3x3", 0, "identity"),), (1,), num_inputs=1),
    CellGenotype((Block(0, "max_pool_3x3", 0, "none"),), (1,), num_inputs=1),
)


@pytest.mark.parametrize("head", ["relu", "norm_relu", "plain"])
@torch.no_grad()
def test_forward_is_its_two_halves(head):
    network = small_network(NASNET_A, head=head).eval()
    features_NFHW = network.forward_features(IMAGES)
    assert torch.equal(network(IMAGES), network.forward_head(features_NFHW))


@torch.no_grad()
def test_pre_logits_are_the_pooled_features():
    network = small_network(NASNET_A).eval()
    features_NFHW = network.forward_features(IMAGES)
    features_NF = network.forward_head(features_NFHW, pre_logits=True)
    assert features_NF.shape == (3, network.num_features)
    assert torch.equal(features_NF, features_NFHW.mean(dim=(2, 3)))
    assert torch.equal(network.classifier(features_NF), network(IMAGES))


@pytest.mark.parametrize(
    ("filters", "num_features"), [(32, 768), (44, 1056), (168, 4032)], ids=["cifar", "mobile", "large"]
)
def test_num_features_of_nasnet_a_are_the_papers_penultimate_filters(filters, num_features):
    network = meta_network(NASNET_A, NetworkConfig(cells_per_stack=1, filters=filters))
    assert network.num_features == num_features == network.get_classifier().in_features


def test_network_of_no_classes_gives_pooled_features():
    network = meta_network(NASNET_A, NetworkConfig(cells_per_stack=1, filters=4), num_classes=0)
    assert isinstance(network.get_classifier(), nn.Identity)
    assert network(meta_images()).shape == (2, network.num_features)


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_classifier_can_be_reset_to_other_classes(is_training, dtype):
    network = small_network(auxiliary_head=True).to(dtype).train(is_training)
    network.reset_classifier(7)
    outputs = network(IMAGES.to(dtype))
    for logits_NK in outputs if is_training else [outputs]:
        assert logits_NK.shape == (3, 7)
        assert logits_NK.dtype == dtype
    assert network.num_classes == 7
    assert {module.training for module in network.modules()} == {is_training}
    assert {value.dtype for value in network.parameters()} == {dtype}


def test_reset_classifiers_start_and_learn_like_new_ones():
    network = small_network(auxiliary_head=True, filters=16).train()
    network.reset_classifier(1000)
    for classifier in (network.classifier, network.auxiliary.classifier):
        assert classifier.weight.std().item() == pytest.approx(0.01, rel=0.08)
        assert not classifier.bias.any()
    logits_NK, auxiliary_NK = network(IMAGES)
    (logits_NK.sum() + auxiliary_NK.sum()).backward()
    assert_finite_gradients(network)


def test_reset_classifier_stays_on_the_networks_device():
    network = meta_network(TINY, NetworkConfig(cells_per_stack=1, filters=4, auxiliary_head=True))
    network.reset_classifier(3)
    assert {value.device.type for value in network.parameters()} == {"meta"}
    assert network.train()(meta_images())[1].shape == (2, 3)


@torch.no_grad()
def test_classifier_reset_to_no_classes_gives_pooled_features():
    network = small_network(auxiliary_head=True).eval()
    before_NF = network.forward_head(network.forward_features(IMAGES), pre_logits=True)
    network.reset_classifier(0)
    assert isinstance(network.get_classifier(), nn.Identity)
    assert torch.equal(network(IMAGES), before_NF)
    features_NF, auxiliary_NF = network.train()(IMAGES)
    assert (features_NF.shape[1], auxiliary_NF.shape[1]) == (network.num_features, 768)
    network.reset_classifier(4)
    assert network.eval()(IMAGES).shape == (3, 4)


@torch.no_grad()
def test_other_layers_are_left_alone_by_a_reset():
    network = small_network(NASNET_A, auxiliary_head=True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.reset_classifier(5)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"classifier.weight", "auxiliary.classifier.weight"}


@pytest.mark.slow
def test_feature_maps_of_the_large_network_are_those_that_detectors_take():
    config = NetworkConfig(
        stem="imagenet", cells_per_stack=6, filters=168, stem_filters=96, skip_reduction_input=True
    )
    network = meta_network(NASNET_A, config, image_size=331, num_classes=0).eval()
    channels = {feature.stride: feature.channels for feature in network.feature_maps}
    assert channels == {2: 96, 4: 168, 8: 1008, 16: 2016, 32: 4032}
    shapes = [tuple(map_NCHW.shape[1:]) for map_NCHW in network.forward_feature_maps(meta_images(331))]
    assert shapes == [(96, 165, 165), (168, 83, 83), (1008, 42, 42), (2016, 21, 21), (4032, 11, 11)]


@pytest.mark.slow
@settings(max_examples=12)
@given(genotype=genotypes(max_blocks=2), config=network_configs())
def test_feature_maps_of_any_network_are_as_announced(genotype, config):
    image_size = 2 * smallest_image(config)
    network = meta_network(genotype, config, image_size=image_size)
    maps = network.forward_feature_maps(meta_images(image_size))
    expected = [(feature.channels, image_size // feature.stride) for feature in network.feature_maps]
    if config.stem == "imagenet":
        # Its convolution is not padded.
        expected[0] = (expected[0][0], expected[0][1] - 1)
    assert [tuple(map_NCHW.shape[1:3]) for map_NCHW in maps] == expected
    strides = [feature.stride for feature in network.feature_maps]
    assert strides == sorted(set(strides))


@pytest.mark.parametrize("genotype", [NASNET_A, ONE_INPUT], ids=["nasnet_a", "one_input"])
@torch.no_grad()
def test_feature_maps_are_the_relu_of_the_last_output_at_each_stride(genotype):
    network = small_network(genotype, num_reductions=2, cells_per_stack=2).eval()
    outputs: list[torch.Tensor] = []
    for part in [*network.stem, *network.cells]:
        part.register_forward_hook(lambda *call: outputs.append(call[2]))
    maps = network.forward_feature_maps(IMAGES)
    # Stem 0, Normal 1 2, Reduction 3, Normal 4 5, Reduction 6, Normal 7 8.
    assert [feature.output for feature in network.feature_maps] == [2, 5, 8]
    for map_NCHW, number in zip(maps, (2, 5, 8), strict=True):
        assert torch.equal(map_NCHW, outputs[number].clamp(min=0))
    assert torch.equal(maps[-1], network.forward_features(IMAGES))


def test_network_without_reductions_has_one_feature_map():
    network = small_network(num_reductions=0).eval()
    assert [feature.stride for feature in network.feature_maps] == [1]
    assert [map_NCHW.shape[2] for map_NCHW in network.forward_feature_maps(IMAGES)] == [8]


def test_hooks_see_every_output_once():
    network = small_network(NASNET_A, num_reductions=2)
    assert len(outputs_of([*network.stem, *network.cells], network, IMAGES)) == 6
