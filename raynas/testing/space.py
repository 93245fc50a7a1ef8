"""What every search space promises: a value that decodes, encodes, and whose networks are built and learn."""

# Shapes: N images, C channels, H x W pixels, K classes.

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Sequence

import torch
from torch import nn

from raynas.cells.genotype import Genotype
from raynas.cells.space import Actions, SearchSpace
from raynas.nn import Network, NetworkConfig, complexity
from raynas.strategies.mutation import random_actions

SMALL_NETWORK = {"cells_per_stack": 1, "num_reductions": 1}
NUM_CLASSES = 4
IMAGE_SIZES = (8, 9, 16)
"""Pixels; the odd size finds strides whose outputs don't fit together."""


def check_space(space: SearchSpace, *, num_samples: int = 50, num_trained: int = 6, seed: int = 0) -> None:
    """Checks what raynas relies on in a search space.

        def test_my_space():
            check_space(MySpace(num_blocks=3))

    The function checks that

    - the space is a frozen value that its options and pickling reproduce, and its decisions have names and
      choices of their own;
    - `decode` and `encode` are inverse to each other, and `decode` refuses actions that are out of range, too
      few or too many;
    - JSON and text of an architecture describe that architecture;
    - small networks can be built, have as many parameters as raynas counts, and pass a finite gradient to
      each of them.

    Args:
        num_samples: number of random architectures that are decoded, encoded, built and counted.
        num_trained: number of random architectures that take a training step.
        seed: seed of the random architectures and of their networks.
    Raises:
        AssertionError: a promise is broken; the message names it.
    """
    _check_is_value(space)
    _check_decisions(space)
    rng = random.Random(seed)
    samples = [random_actions(space, rng) for _ in range(max(num_samples, num_trained))]
    for actions in samples:
        _check_writing(space, actions)
        _check_refusals(space, actions)
    for index, actions in enumerate(samples):
        _check_network(space, space.decode(actions), index, is_trained=index < num_trained, seed=seed)


def _check_is_value(space: SearchSpace) -> None:
    """A space is journalled as its options, and sent to other processes."""
    cls, name = type(space), type(space).__name__
    assert cls.model_validate(space.model_dump()) == space, f"{name} differs when made from its options"
    twin = pickle.loads(pickle.dumps(space))
    assert twin == space, f"{name} differs after pickling"
    assert twin.decisions == space.decisions, f"{name}.decisions differ after pickling"
    assert cls.model_config.get("frozen"), f"{name} must stay frozen"


def _check_decisions(space: SearchSpace) -> None:
    assert space.decisions, "a space needs at least one decision"
    names = [decision.name for decision in space.decisions]
    assert len(set(names)) == len(names), f"decisions share a name: {sorted(names)}"
    for decision in space.decisions:
        assert decision.choices, f"decision {decision.name!r} has no choices"
        assert len(set(decision.choices)) == len(decision.choices), (
            f"decision {decision.name!r} lists a choice twice: {decision.choices}"
        )


def _check_writing(space: SearchSpace, actions: Actions) -> None:
    """Actions, genotype, JSON and text of an architecture describe the same one."""
    genotype = space.decode(actions)
    encoded = space.encode(genotype)
    assert encoded == actions, f"encode(decode({actions})) is {encoded}"
    assert Genotype.from_json(genotype.to_json()) == genotype, f"decode({actions}) doesn't survive JSON"
    text = space.to_text(genotype)
    assert space.from_text(text).arch_id == genotype.arch_id, f"from_text({text!r}) is another architecture"


def _check_refusals(space: SearchSpace, actions: Actions) -> None:
    assert _is_refused(space.decode, ()), "decode must refuse an empty sequence of actions"
    assert _is_refused(space.decode, actions[1:]), "decode must refuse too few actions"
    assert _is_refused(space.decode, (*actions, 0)), "decode must refuse too many actions"
    for index, decision in enumerate(space.decisions):
        for wrong in (-1, len(decision.choices)):
            changed = (*actions[:index], wrong, *actions[index + 1 :])
            assert _is_refused(space.decode, changed), (
                f"decode must refuse action {wrong} of {decision.name!r}; SearchSpace.check does that"
            )


def _is_refused(decode: Callable[[Sequence[int]], object], actions: Sequence[int]) -> bool:
    try:
        decode(actions)
    except ValueError:
        return True
    return False


def _check_network(
    space: SearchSpace, genotype: Genotype, index: int, *, is_trained: bool, seed: int
) -> None:
    """A small network with the space's own settings; width and image size vary with `index`."""
    fields = {**space.network, **SMALL_NETWORK, "filters": 4 + index % 5}
    config = NetworkConfig.model_validate(fields)
    image_size = IMAGE_SIZES[index % len(IMAGE_SIZES)]
    # The weights are drawn from torch's global generator; forked, the caller's random numbers stay the same.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(genotype, config, in_channels=3, num_classes=NUM_CLASSES, image_size=image_size)
        images_NCHW = torch.randn(2, 3, image_size, image_size)
        counted = complexity(
            genotype, config, in_channels=3, num_classes=NUM_CLASSES, image_size=image_size
        ).parameters
        built = sum(parameter.numel() for parameter in network.parameters())
        assert built == counted, f"{genotype} has {built:,} parameters, but {counted:,} are counted"
        if is_trained:
            _check_gradients(network.train(), images_NCHW)


def _check_gradients(network: Network, images_NCHW: torch.Tensor) -> None:
    logits_NK = network(images_NCHW)
    assert logits_NK.shape == (len(images_NCHW), NUM_CLASSES), f"logits have shape {tuple(logits_NK.shape)}"
    nn.functional.cross_entropy(logits_NK, torch.arange(len(images_NCHW))).backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, f"{name} takes no part in the network's output"
        assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
