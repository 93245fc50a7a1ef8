"""What a search suggests next: commands that end today, with an estimate from the pace just measured."""

from __future__ import annotations

import shlex

from raynas.cli.terminal.commands import program
from raynas.cli.terminal.quantities import duration
from raynas.data import DataConfig
from raynas.nn import NetworkConfig, NetworkSpec
from raynas.programs.search.config import SearchConfig
from raynas.programs.search.recipes import search_config
from raynas.programs.search.result import SearchResult
from raynas.training import small

TOP = 5
HOURS = 2.0
"""What each suggested command may take."""
MIN_EPOCHS = 2


def promote_command(result: SearchResult, config: SearchConfig) -> str:
    """Promotes the best cells, for as many epochs as end in HOURS."""
    run = shlex.quote(str(result.run_folder))
    top = min(TOP, len({entry.arch_id for entry in result.leaderboard if entry.reward is not None}))
    return f"{program()} promote {run} --top {top}{_epochs_option(result, config, num_trainings=top)}"


def train_command(result: SearchResult, config: SearchConfig) -> str:
    """Trains the best cell on the same images, for as many epochs as end in HOURS."""
    run, data = shlex.quote(str(result.run_folder)), data_options(config.data)
    return f"{program()} train {run} {data}{_epochs_option(result, config, num_trainings=1)}"


def _epochs_option(result: SearchResult, config: SearchConfig, *, num_trainings: int) -> str:
    """The option --epochs, and a remark with the estimate; empty where the pace isn't known."""
    if result.epoch_seconds is None:
        return ""
    recipe = search_config("small_final", {"data": config.data.model_dump()})
    larger = _mult_adds(result, recipe.network) / _mult_adds(result, config.network)
    seconds = result.epoch_seconds * larger * num_trainings
    epochs = suggested_epochs(seconds)
    return f" --epochs {epochs}  # about {duration(epochs * seconds)} on one worker like these"


def suggested_epochs(epoch_seconds: float) -> int:
    """The recipe's number of epochs, or as many as end in HOURS, but some in any case."""
    return max(min(small.EPOCHS, int(HOURS * 3600 / max(epoch_seconds, 1e-9))), MIN_EPOCHS)


def _mult_adds(result: SearchResult, network: NetworkConfig) -> int:
    # For an image of any size: only the ratio of two networks counts, which hardly depends on it.
    return NetworkSpec(result.best, network, 3, 10, image_size=64).complexity().mult_adds


def data_options(data: DataConfig) -> str:
    """The options with which `raynas train` finds the same images."""
    defaults = DataConfig()
    options = [f"--data {shlex.quote(data.source)}"]
    for field in DataConfig.model_fields:
        value = getattr(data, field)
        if field != "source" and value != getattr(defaults, field):
            options.append(f"--set {shlex.quote(f'data.{field}={value}')}")
    return " ".join(options)
