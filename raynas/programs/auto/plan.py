"""How the hours of an automatic run are divided, as pure functions of the images and of measured paces."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from raynas.config import FrozenModel
from raynas.errors import InvalidConfig

LADDER = ((1, 8), (1, 16), (2, 16), (2, 32), (4, 32), (6, 32))
"""Sizes of networks, as cells per stack and filters. Children have the first; the last is NASNet-A's."""
BASELINES = ("resnet18", "nasnet_a", "random")
"""What is trained beside the winner, in this order."""
SHARES = {"search": 0.4, "promotion": 0.2, "training": 0.4}
"""Each stage's share of the time that is left after starts and the end."""
SEARCH_START, PROMOTION_START, TRAINING_START, END = 25.0, 15.0, 12.0, 15.0
"""Seconds in which a stage, or each final training, trains nothing: workers start, and at the end the network
is exported.
"""
STARTS = SEARCH_START + PROMOTION_START + (1 + len(BASELINES)) * TRAINING_START + END
SAFETY = 0.9
"""Share of a stage's time that is planned for training: measured paces are of an idle machine."""
EVALUATION_SHARE = 1 / 3
"""Time of an image in evaluation, as a share of its time in training."""
GOOD_EPOCHS, MIN_EPOCHS, MAX_EPOCHS = 30, 2, 600
"""Epochs of a final training: how many make a larger network worth it, and the bounds."""
MIN_CHILDREN, GOOD_CHILDREN = 4, 20
MAX_CHILD_EPOCHS = 20
"""The paper's."""
MIN_SEARCH_IMAGES = 1000
"""Training images of a child at least, if there are so many."""
TOPS = (5, 3, 2)
"""Numbers of cells to promote; the largest for which GOOD_PROMOTION_EPOCHS fit."""
GOOD_PROMOTION_EPOCHS = 3
SPARE = 2
"""Times as many children as planned are allowed; the time ends the search before, if cells aren't faster."""


class Images(FrozenModel):
    """How many images there are, and of which size."""

    train: int = Field(ge=1)
    validation: int = Field(ge=1)
    image_size: int = Field(ge=1)
    channels: int = Field(ge=1)
    classes: int = Field(ge=2)

    def work(self, train: int | None = None) -> float:
        """An epoch's images, evaluated ones counted as a share of trained ones."""
        return (self.train if train is None else train) + EVALUATION_SHARE * self.validation


class Paces(FrozenModel):
    """Training images per second that were measured on this machine."""

    search: float = Field(gt=0)
    """Images per second of all workers of a search together, each training a child."""
    threads: int = Field(ge=1)
    """CPUs with which one network was trained fastest."""
    networks: tuple[float, ...] = Field(min_length=1, max_length=len(LADDER))
    """Images per second of one network on these CPUs or a GPU, for the first sizes of LADDER."""
    reference: float = Field(gt=0)
    """Images per second of ResNet-18 on these CPUs or a GPU."""


class SearchPlan(FrozenModel):
    """The search: how many children, trained how."""

    children: int = Field(ge=1)
    epochs: int = Field(ge=1)
    train_images: int = Field(ge=1)
    seconds: float = Field(ge=0)


class PromotionPlan(FrozenModel):
    """The promotion: how many cells, for how many epochs."""

    top: int = Field(ge=1)
    epochs: int = Field(ge=1)
    seconds: float = Field(ge=0)


class TrainingPlan(FrozenModel):
    """The final training of the winner and of each baseline."""

    epochs: int = Field(ge=1)
    seconds: float = Field(ge=0)
    """Time of all final trainings together."""


class Plan(FrozenModel):
    """What is done in the hours."""

    cells_per_stack: int = Field(ge=1)
    filters: int = Field(ge=2)
    """Size of the promoted and of the final networks."""
    search: SearchPlan
    promotion: PromotionPlan
    training: TrainingPlan

    @property
    def seconds(self) -> float:
        """Time of all stages together, with the end."""
        return self.search.seconds + self.promotion.seconds + self.training.seconds + END


def plan_hours(seconds: float, images: Images, paces: Paces) -> Plan:
    """The plan for so much time.

    Raises:
        InvalidConfig: it is too little; says the least that would do.
    """
    plan = _plan(seconds, images, paces)
    if plan is None:
        least = least_seconds(images, paces)
        raise InvalidConfig(
            f"hours = {seconds / 3600:.4g} is too little for {images.train:,} training images of "
            f"{images.image_size} pixels on this machine. The least that would do is {up(least / 3600):g}; "
            "or take fewer images (data.train_images) or smaller ones (data.image_size)."
        )
    return plan


def least_seconds(images: Images, paces: Paces) -> float:
    """The shortest time for which there is a plan, to a hundredth of itself."""
    low = high = STARTS
    while _plan(high, images, paces) is None:
        low, high = high, 2 * high
    while high - low > high / 100:
        middle = (low + high) / 2
        low, high = (middle, high) if _plan(middle, images, paces) is None else (low, middle)
    return high


def up(hours: float) -> float:
    """Hours rounded up to two digits."""
    step = 10.0 ** (math.floor(math.log10(hours)) - 1)
    return float(f"{math.ceil(hours / step) * step:.4g}")


def size_is_enough(seconds: float, images: Images, paces: Paces) -> bool:
    """Whether the largest measured size is too slow for good training: no larger one need be tried."""
    usable = (seconds - STARTS) * SHARES["training"]
    return training_epochs(usable, _rates(paces, len(paces.networks) - 1), images) < GOOD_EPOCHS


def training_epochs(seconds: float, rates: Sequence[float], images: Images) -> int:
    """Epochs that fit for each of several networks, all with the same number; may be 0.

    Args:
        seconds: for training alone.
        rates: images per second of each network.
    """
    epoch = images.work() * sum(1 / rate for rate in rates)
    return min(int(SAFETY * seconds / epoch), MAX_EPOCHS)


def promotion_plan(
    seconds: float, rate: float, images: Images, *, slowdown: float = 1.0, most: int = TOPS[0]
) -> PromotionPlan | None:
    """How many cells can be promoted, and for how many epochs; None if not even two for one epoch.

    Args:
        seconds: with the start.
        rate: images per second of the machine for networks of the final size.
        slowdown: by which children took longer than planned.
        most: number of cells that there are.
    """
    epoch = images.work() / rate * slowdown
    for top in TOPS:
        epochs = int(SAFETY * (seconds - PROMOTION_START) / (epoch * top))
        if epochs >= GOOD_PROMOTION_EPOCHS or (top == TOPS[-1] and epochs >= 1):
            return PromotionPlan(top=min(top, most), epochs=min(epochs, MAX_EPOCHS), seconds=seconds)
    return None


def promotion_seconds(left: float) -> float:
    """The promotion's part, with its start, of the time that is left after the search."""
    usable = left - (STARTS - SEARCH_START)
    share = SHARES["promotion"] / (SHARES["promotion"] + SHARES["training"])
    return PROMOTION_START + max(usable, 0.0) * share


def training_plan(left: float, rates: Sequence[float], images: Images) -> TrainingPlan:
    """The final trainings in the time that is left after the promotion; at least one epoch each."""
    seconds = left - END
    epochs = training_epochs(seconds - len(rates) * TRAINING_START, rates, images)
    return TrainingPlan(epochs=max(epochs, 1), seconds=max(seconds, 0.0))


def _rates(paces: Paces, size: int) -> list[float]:
    """Images per second of the winner, of the baselines that are cells, and of ResNet-18."""
    return [paces.networks[size]] * len(BASELINES) + [paces.reference]


def _plan(seconds: float, images: Images, paces: Paces) -> Plan | None:
    usable = seconds - STARTS
    if usable <= 0:
        return None
    parts = {stage: usable * share for stage, share in SHARES.items()}
    epochs = [
        training_epochs(parts["training"], _rates(paces, size), images) for size in range(len(paces.networks))
    ]
    size = max((size for size, number in enumerate(epochs) if number >= GOOD_EPOCHS), default=0)
    search = _search_plan(parts["search"], images, paces)
    promotion = promotion_plan(parts["promotion"] + PROMOTION_START, paces.networks[size], images)
    if search is None or promotion is None or epochs[size] < MIN_EPOCHS:
        return None
    starts = (1 + len(BASELINES)) * TRAINING_START
    cells_per_stack, filters = LADDER[size]
    return Plan(
        cells_per_stack=cells_per_stack,
        filters=filters,
        search=search,
        promotion=promotion,
        training=TrainingPlan(epochs=epochs[size], seconds=parts["training"] + starts),
    )


def _search_plan(seconds: float, images: Images, paces: Paces) -> SearchPlan | None:
    per_second = SAFETY * seconds * paces.search
    train = images.train
    if per_second / images.work() < GOOD_CHILDREN:
        # Fewer images for each child, as far as they still tell cells apart.
        wanted = per_second / GOOD_CHILDREN - EVALUATION_SHARE * images.validation
        train = max(int(wanted), min(MIN_SEARCH_IMAGES, images.train))
    of_one_epoch = per_second / images.work(train)
    if of_one_epoch < MIN_CHILDREN:
        return None
    epochs = min(max(int(math.sqrt(of_one_epoch / GOOD_CHILDREN)), 1), MAX_CHILD_EPOCHS)
    return SearchPlan(
        children=int(of_one_epoch / epochs),
        epochs=epochs,
        train_images=train,
        seconds=seconds + SEARCH_START,
    )
