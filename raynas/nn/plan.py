"""The layer plan of a network: its cells and what each of them takes. network.py builds it, complexity.py
counts it. No torch.

Source: tensorflow/models slim nasnet.py, _build_nasnet_base and _imagenet_stem; for DARTS quark0/darts
cnn/model.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from raynas.cells.genotype import CellGenotype, Genotype
from raynas.errors import InvalidConfig
from raynas.nn.cell_plan import CellPlan, CellShape, plan_cell, used_states
from raynas.nn.config import NetworkConfig
from raynas.nn.layers import Conv, Layers, Norm, Relu, conv, out_size


@dataclass(frozen=True, slots=True)
class PlacedCell:
    """A cell, and the numbers of the outputs that it takes as its current and its previous state.

    Outputs are numbered through the network: first the stem's, then the cells'.
    """

    plan: CellPlan
    current: int
    previous: int


@dataclass(frozen=True, slots=True)
class Output:
    """The output of a stem or a cell: its channels, and how many times smaller than the image it is."""

    channels: int
    stride: int


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """One of the maps that a network gives to a detector."""

    output: int
    """Number of the stem's or cell's output that it is."""
    channels: int
    stride: int
    """How many times smaller than the image it is."""


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """The layers of a network up to the pooling.

    Attributes:
        stem: each entry takes the output of the one before, and is itself an output.
        head: the layers between the last cell and the pooling.
        num_features: channels that the classifier takes.
        auxiliary: number of the output that the auxiliary head takes.
        outputs: all outputs of stem and cells, in order.
    """

    stem: tuple[Layers, ...]
    cells: tuple[PlacedCell, ...]
    head: Layers
    num_features: int
    auxiliary: int
    outputs: tuple[Output, ...]

    @property
    def feature_maps(self) -> list[FeatureMap]:
        """The last output at each stride, the largest map first."""
        # A later output replaces an earlier one of the same stride.
        last = {output.stride: number for number, output in enumerate(self.outputs)}
        return [self._feature_map(number) for number in last.values()]

    @property
    def last_reduction(self) -> int | None:
        """Index of the last cell of stride 2; None if there is none."""
        reductions = [index for index, cell in enumerate(self.cells) if cell.plan.shape.stride == 2]
        return reductions[-1] if reductions else None

    def states_before(self, num_cells: int) -> list[FeatureMap]:
        """The outputs of stem and first cells that the other cells take, and the last of them in any case."""
        last = len(self.stem) + num_cells - 1
        taken = {number for cell in self.cells[num_cells:] for number in (cell.current, cell.previous)}
        numbers = sorted({number for number in taken if number < last} | {last})
        return [self._feature_map(number) for number in numbers]

    def _feature_map(self, number: int) -> FeatureMap:
        return FeatureMap(number, self.outputs[number].channels, self.outputs[number].stride)

    def map_sizes(self, image_size: tuple[int, int]) -> list[tuple[int, int]]:
        """Height and width of each output."""
        return list(zip(*map(self.sizes, image_size), strict=True))

    def sizes(self, image_size: int) -> list[int]:
        """Pixels per side of each output."""
        side, sizes = image_size, []
        for layers in self.stem:
            for layer in layers:
                side, _ = out_size(layer, (side, side))
            sizes.append(side)
        for cell in self.cells:
            # Rounded up, as every layer of a cell does.
            sizes.append(-(-sizes[-1] // cell.plan.shape.stride))
        return sizes


@dataclass(frozen=True, slots=True)
class _Place:
    genotype: CellGenotype
    shape: CellShape
    current: int
    previous: int


def plan_network(genotype: Genotype, config: NetworkConfig, *, in_channels: int) -> NetworkPlan:
    """The layer plan of the whole network.

    Raises:
        InvalidConfig: the stem needs more filters.
    """
    stem, outputs = _plan_stem(config, in_channels, 1 if genotype.normal.is_chained else 3)
    places: list[_Place] = []
    for filters, stride, skips in _schedule(config):
        current = len(outputs) - 1
        # The first cell after a stem of one output has nothing before its current state, so it takes that
        # twice. DARTS's ImageNet stem has two outputs, and its first cell takes both.
        previous = max(current - (2 if skips else 1), 0)
        cell = genotype.reduction if stride == 2 else genotype.normal
        shape = CellShape(
            outputs[current].channels,
            outputs[previous].channels,
            filters,
            stride,
            previous_is_larger=outputs[previous].stride < outputs[current].stride,
            is_first=current == 0,
        )
        places.append(_Place(cell, shape, current, previous))
        # In a chained network a cell may give out fewer states, if the next one doesn't use all; `built` has
        # the number.
        outputs.append(Output(len(cell.concat) * filters, outputs[current].stride * stride))
    if genotype.normal.is_chained:
        cells = _chained(places, config)
    else:
        cells = tuple(
            PlacedCell(plan_cell(p.genotype, p.shape, config.conventions), p.current, p.previous)
            for p in places
        )
    num_features = cells[-1].plan.out_channels
    head = {"relu": (Relu(),), "norm_relu": (Norm(num_features), Relu()), "plain": ()}[config.head]
    built = [
        Output(cell.plan.out_channels, output.stride)
        for cell, output in zip(cells, outputs[len(stem) :], strict=True)
    ]
    auxiliary = len(stem) + _auxiliary_index(places, config)
    return NetworkPlan(stem, cells, head, num_features, auxiliary, (*outputs[: len(stem)], *built))


def check_image_size(plan: NetworkPlan, image_size: int, config: NetworkConfig) -> None:
    """InvalidConfig unless every map of the network has at least one pixel."""
    needed = plan.outputs[-1].stride
    if image_size < needed:
        raise InvalidConfig(
            f"Images of {image_size} pixels are too small: network.stem = {config.stem!r} with "
            f"network.num_reductions = {config.num_reductions} makes them {needed} times smaller. Give "
            f"images of at least {needed} pixels, fewer reductions, or network.stem=small_image."
        )


def _plan_stem(
    config: NetworkConfig, in_channels: int, multiplier: int
) -> tuple[tuple[Layers, ...], list[Output]]:
    # The multiplier is slim's stem_multiplier, which is 3 for CIFAR. Chained networks have a stem of F, as
    # NAS-Bench-201's does.
    if config.stem == "small_image":
        filters = config.stem_filters or multiplier * config.filters
        return ((conv(in_channels, filters, 3), Norm(filters)),), [Output(filters, 1)]
    if config.filters < 4:
        raise InvalidConfig(
            f"network.filters = {config.filters} is too small for network.stem = {config.stem!r}, which "
            "starts with a quarter of them. Give at least 4, or network.stem=small_image."
        )
    if config.stem == "imagenet":
        # slim multiplies 32 by the stem multiplier: 32 filters in the mobile network, 96 in the large one
        # (stem_filters).
        filters = config.stem_filters or 32
        first = Conv(in_channels, filters, (3, 3), (2, 2), is_valid=True)
        return ((first, Norm(filters)),), [Output(filters, 2)]
    half, full = config.stem_filters or config.filters // 2, config.filters
    larger: Layers = (
        conv(in_channels, half, 3, stride=2),
        Norm(half),
        Relu(),
        conv(half, full, 3, stride=2),
        Norm(full),
    )
    smaller: Layers = (Relu(), conv(full, full, 3, stride=2), Norm(full))
    return (larger, smaller), [Output(full, 4), Output(full, 8)]


def _schedule(config: NetworkConfig) -> list[tuple[int, int, bool]]:
    """(filters, stride, whether the previous state is one output further back than usual) of each cell."""
    cells: list[tuple[int, int, bool]] = []
    if config.stem == "imagenet":
        # The first two Reduction cells belong to the stem: slim's _imagenet_stem scales their filters by 1/4
        # and 1/2.
        cells += [(config.filters // 4, 2, False), (config.filters // 2, 2, False)]
    for stack, num_cells in enumerate(config.stacks):
        filters = config.filters * 2**stack
        skips = config.skip_reduction_input and stack > 0
        if stack > 0:
            cells.append((filters, 2, False))
        cells += [(filters, 1, skips)] + [(filters, 1, False)] * (num_cells - 1)
    return cells


def _chained(places: list[_Place], config: NetworkConfig) -> tuple[PlacedCell, ...]:
    """The cells of a chained network, each with only those outputs that the next one uses.

    Which outputs a cell needs is known only from the cells after it, so they are determined backwards.
    """
    # The last cell gives out everything. Then pairs of a cell and the one before it, from the end of the
    # network.
    wanted = [places[-1].genotype.concat]
    for place, before in zip(places[:0:-1], places[-2::-1], strict=True):
        used = used_states(place.genotype, wanted[0])
        # State number `index` of the next cell is what this cell gives out at that place of its concat.
        taken = tuple(state for index, state in enumerate(before.genotype.concat) if index in used)
        wanted.insert(0, taken)
    cells: list[PlacedCell] = []
    for place, outputs in zip(places, wanted, strict=True):
        channels = cells[-1].plan.out_channels if cells else place.shape.current_channels
        # A chained cell has no previous state, so the current one stands in for it.
        shape = CellShape(channels, channels, place.shape.filters, place.shape.stride, is_first=not cells)
        plan = plan_cell(place.genotype, shape, config.conventions, outputs)
        cells.append(PlacedCell(plan, place.current, place.current))
    return tuple(cells)


def _auxiliary_index(places: list[_Place], config: NetworkConfig) -> int:
    """Number of the cell whose output the auxiliary head takes: before the last reduction, or in DARTS it."""
    reductions = [index for index, place in enumerate(places) if place.shape.stride == 2]
    if not config.num_reductions:
        return len(places) - 1
    # A bool counts as 0 or 1: NASNet's head is one cell earlier, on the map before it is halved.
    return reductions[-1] - (config.auxiliary_kind == "nasnet")
