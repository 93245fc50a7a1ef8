"""Translates parameter names between raynas and timm's nasnetalarge and pnasnet5large.

Source: huggingface/pytorch-image-models timm/models/nasnet.py and pnasnet.py. There `left` and `right` are
the first and the second half of a block; conv_prev_1x1 and the paths match the previous state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from raynas.errors import WeightsError
from raynas.nn import Cell, Network
from raynas.nn.layers import Conv, Layers, Norm

STEM_NAMES = {"nasnet": "conv0", "pnasnet": "conv_0"}


def is_timm(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict has timm's parameter names."""
    return any(key.startswith("cell_stem_0.") for key in state)


def from_timm(state: Mapping[str, Tensor], network: Network) -> dict[str, Tensor]:
    """timm's state dict with raynas's names; keys that have no counterpart in `network` stay as they are."""
    ours = {timm: name for name, timm in _names(network, _family(state)).items()}
    return {_renamed(key, ours): value for key, value in state.items()}


def to_timm(network: Network) -> dict[str, Tensor]:
    """The network's state dict with the parameter names of nasnetalarge or pnasnet5large.

    Raises:
        WeightsError: the network's cells or stem don't exist in timm.
    """
    # PNASNet has a single cell, which also serves as the reduction cell.
    is_pnasnet = network.genotype.normal == network.genotype.reduction
    names = _names(network, "pnasnet" if is_pnasnet else "nasnet")
    state = {_renamed(k, names): v for k, v in network.state_dict().items() if not k.startswith("auxiliary.")}
    foreign = [key for key in state if key.startswith(("cells.", "stem."))]
    if foreign:
        raise WeightsError(
            f"timm has no name for {foreign[0]}: it has only networks of nasnet_a and pnasnet5 with the "
            "ImageNet stem."
        )
    return state


def _family(state: Mapping[str, Tensor]) -> str:
    return "nasnet" if any(key.startswith("conv0.") for key in state) else "pnasnet"


def _renamed(key: str, names: Mapping[str, str]) -> str:
    """`key`, which is the path of a module and the name of a tensor in it, with the module's other name."""
    module, _, tensor = key.rpartition(".")
    return f"{names[module]}.{tensor}" if module in names else key


def _names(network: Network, family: str) -> dict[str, str]:
    """timm's path of each module that owns tensors, by its path in raynas."""
    stem = STEM_NAMES[family]
    names = {"stem.0.0": f"{stem}.conv", "stem.0.1": f"{stem}.bn", "classifier": "last_linear"}
    for index, timm_cell in enumerate(_cell_names(network, family)):
        cell = network.cells[index]
        assert isinstance(cell, Cell)
        for name, timm_name in _names_in_cell(cell, family):
            names[f"cells.{index}.{name}"] = f"{timm_cell}.{timm_name}"
    return names


def _cell_names(network: Network, family: str) -> Iterator[str]:
    """timm's names of the cells: PNASNet numbers reductions among the cells, NASNet separately."""
    num_normal = num_reductions = 0
    for index, cell in enumerate(network.cells):
        if index < 2:
            yield f"cell_stem_{index}"
        elif family == "nasnet" and cell.plan.shape.stride == 2:  # type: ignore[union-attr]
            yield f"reduction_cell_{num_reductions}"
            num_reductions += 1
        else:
            yield f"cell_{num_normal}"
            num_normal += 1


def _names_in_cell(cell: Cell, family: str) -> Iterator[tuple[str, str]]:
    yield from _names_in_projection("match.0", "conv_1x1")
    # timm's NASNet has the two paths directly in the cell, its PNASNet in conv_prev_1x1.
    prefix = "" if family == "nasnet" else "conv_prev_1x1."
    if cell.plan.shape.previous_is_larger:
        yield "match.1.1.path_1", f"{prefix}path_1.conv"
        yield "match.1.1.path_2", f"{prefix}path_2.conv"
        yield "match.1.1.norm", f"{prefix}final_path_bn"
    else:
        yield from _names_in_projection("match.1", "conv_prev_1x1")
    for state, block in cell.plan.blocks:
        index = state - cell.plan.num_inputs
        yield from _names_in_op(block.op_a, f"blocks.{index}.op_a", f"comb_iter_{index}_left")
        yield from _names_in_op(block.op_b, f"blocks.{index}.op_b", f"comb_iter_{index}_right")


def _names_in_projection(name: str, timm_name: str) -> Iterator[tuple[str, str]]:
    yield f"{name}.1", f"{timm_name}.conv"
    yield f"{name}.2", f"{timm_name}.bn"


def _names_in_op(layers: Layers, name: str, timm_name: str) -> Iterator[tuple[str, str]]:
    is_separable = any(isinstance(layer, Conv) and layer.groups > 1 for layer in layers)
    number = 1
    for index, layer in enumerate(layers):
        if isinstance(layer, Conv) and is_separable:
            part = "depthwise" if layer.groups > 1 else "pointwise"
            yield f"{name}.{index}", f"{timm_name}.separable_{number}.{part}_conv2d"
        elif isinstance(layer, Conv):
            yield f"{name}.{index}", f"{timm_name}.conv"
        elif isinstance(layer, Norm):
            yield f"{name}.{index}", f"{timm_name}." + (f"bn_sep_{number}" if is_separable else "bn")
            number += 1
