"""What each Ray Train worker of a final training runs: it trains, saves checkpoints and sorts its errors."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint

from raynas.engine.final_checkpoints import load_state
from raynas.errors import RaynasError, TrainingFailed
from raynas.files import STATE_FILE
from raynas.training.device import Placement, is_out_of_memory
from raynas.training.final import FinalTraining
from raynas.training.final_config import TrainingSummary

TrainingFactory = Callable[[Placement, Any], FinalTraining[Any]]
"""Called in each worker with the data at the start of training."""
MEMORY_ADVICE = (
    "Raise training.accumulate or lower training.batch_size or data.image_size; on a host, data.processes "
    "and the number of workers per node count too."
)
PROGRAMMING_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    TypeError,
    ValueError,
)
"""Errors that come again at every start. Lost nodes and connections raise others, such as RuntimeError."""


class _Stopped(Exception):
    """Raised in a worker when training has to stop. Ray Train restarts the workers, which then return at
    once.
    """


@dataclass(frozen=True)
class FinalWorkerSettings:
    """Arguments of every worker."""

    mailbox: str
    """Name of the FinalMailbox actor."""
    factory: TrainingFactory
    data: list[Any]
    """One reference to the data. Ray passes a reference inside a list on as a reference, so that each node
    fetches the data once.
    """
    num_threads: int
    uses_gpu: bool


def train_worker(settings: FinalWorkerSettings) -> None:
    """Trains in one worker, from the last checkpoint if there is one, to the end."""
    mailbox = ray.get_actor(settings.mailbox)
    if ray.get(mailbox.is_stopped.remote()):
        # Ray Train restarted this worker after an error that a restart doesn't mend, or after the driver was
        # interrupted.
        return
    context = ray.train.get_context()
    placement = Placement(
        device=str(ray.train.torch.get_device()) if settings.uses_gpu else "cpu",
        num_threads=settings.num_threads,
        rank=context.get_world_rank(),
        num_ranks=context.get_world_size(),
    )
    torch.set_num_threads(settings.num_threads)
    training = None
    try:
        training = settings.factory(placement, ray.get(settings.data[0]))
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is not None:
            training.load_state_dict(load_state(checkpoint, placement.device))
        stopped = mailbox.stopped.remote()
        training.run(lambda summary: _save(training, summary, mailbox), lambda: _check(stopped))
    # The errors are sorted here by what a restart would do: repeat the same mistake, or help. Only the last
    # kind is left to Ray Train.
    except RaynasError as error:
        ray.get(mailbox.fail.remote(error))
        raise
    except PROGRAMMING_ERRORS as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        failure = TrainingFailed(
            f"A worker failed with {type(error).__name__}: {error} (in {place.name}, {place.filename}, line "
            f"{place.lineno}). A restart would fail in the same way, so none was tried; the last checkpoint "
            "is kept."
        )
        ray.get(mailbox.fail.remote(failure))
        raise failure from error
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # A restart would run out of memory again.
        images = f" with {training.micro_batch} images a step" if training is not None else ""
        where = f"on {placement.device}"
        failure = TrainingFailed(f"A worker ran out of memory {where}{images}. {MEMORY_ADVICE}")
        ray.get(mailbox.fail.remote(failure))
        raise failure from error


def _check(stopped: Any) -> None:
    # `stopped` is the result of a call that is already under way, so that this look costs no message.
    if ray.wait([stopped], timeout=0)[0]:
        raise _Stopped


def _save(training: FinalTraining[Any], summary: TrainingSummary, mailbox: Any) -> None:
    """Saves a training checkpoint from rank 0. Ray Train requires that all ranks report at the same time."""
    metrics = summary.model_dump()
    # All ranks have the same weights, so it is enough that one writes.
    if training.placement.rank != 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory(prefix="raynas-checkpoint-") as folder:
        torch.save(training.state_dict(), Path(folder) / STATE_FILE)
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
    # After the checkpoint: the driver records only epochs that a resume will not train again.
    ray.get(mailbox.put.remote(summary))
