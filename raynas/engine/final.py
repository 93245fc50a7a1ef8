"""Final training on Ray: one TorchTrainer whose workers train one network together.

Checkpoints lie in the run's folder. A lost worker or node restarts all of them from the last one, on as many
workers or, where the plan allows, on what is left of them; a later driver with the same folder goes on from
there too.
"""

from __future__ import annotations

import logging
import re
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ray
import ray.exceptions
import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from raynas.engine.cluster import HEAD_NODE, set_patience
from raynas.engine.final_checkpoints import FOLDER, STATE_FILE, load_state
from raynas.engine.final_mailbox import Mailbox
from raynas.engine.final_plan import TrainingPlan
from raynas.errors import RaynasError, TrainingFailed
from raynas.training import Placement
from raynas.training.device import is_out_of_memory
from raynas.training.final import FinalTraining
from raynas.training.final_config import Summary

logger = logging.getLogger(__name__)

TrainingFactory = Callable[[Placement, Any], FinalTraining]
"""Called in each worker with the data at the start of training."""
SCORE = "top1"
INTERRUPTED_SECONDS = 12.0
"""How long an interrupted driver waits for its workers before it leaves them to Ray."""
MEMORY_ADVICE = (
    "Raise training.accumulate or lower training.batch_size or data.image_size; on a host, data.processes "
    "and the number of workers per node count too."
)
RAYS_HEADING = re.compile(r"\s*$|Training failed due to \w+ errors?:|\[Rank \S+ Error Snippet\]:")
"""Lines of Ray's errors that tell nothing."""
PATIENCE_SECONDS = 30.0
"""For workers to find room; then it is looked again how many there is room for."""
MAX_WAITS_FOR_NODES = 120
"""An hour in all: a lost spot machine is rarely replaced at once."""


class _Stopped(Exception):
    """The driver was interrupted; Train starts the workers again, and they go home."""


@dataclass(frozen=True)
class WorkerSettings:
    """What every worker is started with."""

    mailbox: str
    factory: TrainingFactory
    data: list[Any]
    """A reference in a list is handed on as a reference: each node fetches the data once."""
    num_threads: int
    uses_gpu: bool


class TrainedStates(NamedTuple):
    """As FinalTraining.state_dict gave them: after the last epoch, and after the one with the best top-1."""

    last: Mapping[str, Any]
    best: Mapping[str, Any]
    best_epoch: int


def train_on_cluster(
    factory: TrainingFactory,
    data: Any,
    *,
    plan: TrainingPlan,
    folder: Path,
    max_failures: int,
    batch_size: int,
    report: Callable[[Summary], None],
) -> TrainedStates:
    """Trains to the end.

    Args:
        data: put into Ray's object store once.
        folder: of the run; FOLDER below it is Ray's.
        batch_size: images of an update, for messages.
        report: called here, after each epoch and each checkpoint within one.
    Raises:
        TrainingFailed: workers were lost too often, or the network diverged.
        UsageError: what the workers raise of it, such as DataError.
    """
    name = f"raynas-training-{uuid.uuid4().hex[:12]}"
    mailbox = ray.remote(Mailbox).options(name=name, num_cpus=0, resources=HEAD_NODE).remote()
    settings = WorkerSettings(name, factory, [ray.put(data)], max(int(plan.cpus), 1), plan.gpus > 0)
    fit = _Fit(_trainer(settings, plan, folder, max_failures))
    fit.start()
    seen, news = 0, mailbox.after.remote(0)
    try:
        while fit.is_alive():
            if ray.wait([news], timeout=1.0)[0]:
                for summary in ray.get(news):
                    seen += 1
                    report(summary)
                news = mailbox.after.remote(seen)
        summaries, error = ray.get([mailbox.rest.remote(seen), mailbox.failure.remote()])
    except ray.exceptions.RayError as lost:
        # The mailbox is gone: the head's memory ran out, or the head itself.
        raise workers_lost(lost, batch_size) from lost
    except BaseException:
        ray.get(mailbox.stop.remote())
        fit.join(INTERRUPTED_SECONDS)
        raise
    for summary in summaries:
        report(summary)
    if error is not None:
        raise error
    if fit.error is not None:
        raise workers_lost(fit.error, batch_size) from fit.error
    return fit.states()


class _Fit(threading.Thread):
    """Trainer.fit beside the driver's own work."""

    def __init__(self, trainer: TorchTrainer) -> None:
        super().__init__(name="raynas-final-training", daemon=True)
        self.trainer = trainer
        self.result: ray.train.Result | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.result = self.trainer.fit()
        except Exception as error:
            logger.debug("final training ended", exc_info=True)
            self.error = error

    def states(self) -> TrainedStates:
        assert self.result is not None and self.result.checkpoint is not None
        last = load_state(self.result.checkpoint, "cpu")
        scored = [(c, m) for c, m in self.result.best_checkpoints or () if SCORE in m]
        checkpoint, summary = max(scored, key=lambda pair: (pair[1][SCORE], pair[1]["epoch"]))
        same = checkpoint.path == self.result.checkpoint.path
        return TrainedStates(last, last if same else load_state(checkpoint, "cpu"), int(summary["epoch"]))


def workers_lost(error: Exception, batch_size: int) -> TrainingFailed:
    """What to tell the user when Ray gave up.

    Args:
        error: Ray's, whose text may be pages long.
        batch_size: images of an update.
    """
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if not RAYS_HEADING.match(line)] or [""]
    # A traceback ends with what happened, everything else begins with it.
    reason = (lines[-1] if "Traceback" in text else lines[0])[:300].rstrip(".")
    # Ray ends a worker before the kernel would.
    is_memory = "memory" in text.lower()
    advice = (
        f" Most likely memory ran out. Updates are of {batch_size} images, over all workers. {MEMORY_ADVICE}"
        if is_memory
        else ""
    )
    return TrainingFailed(
        f"The workers could not be kept training: {reason}.{advice} What is in the last checkpoint is kept; "
        "go on with --resume."
    )


def _trainer(settings: WorkerSettings, plan: TrainingPlan, folder: Path, max_failures: int) -> TorchTrainer:
    set_patience(PATIENCE_SECONDS)
    resources: dict[str, float] = {"CPU": plan.cpus}
    if plan.gpus:
        resources["GPU"] = plan.gpus
    return TorchTrainer(
        train_worker,
        train_loop_config=settings,
        torch_config=TorchConfig(backend="nccl" if plan.gpus >= 1 else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=(plan.at_least, plan.num_workers) if plan.is_elastic else plan.num_workers,
            use_gpu=plan.gpus > 0,
            placement_strategy="SPREAD" if plan.is_spread else "PACK",
            resources_per_worker=resources,
        ),
        run_config=RunConfig(
            name=FOLDER,
            storage_path=str(folder.absolute()),
            # The best; Train keeps the latest besides.
            checkpoint_config=CheckpointConfig(num_to_keep=1, checkpoint_score_attribute=SCORE),
            failure_config=FailureConfig(
                max_failures=max_failures, controller_failure_limit=MAX_WAITS_FOR_NODES
            ),
        ),
    )


def train_worker(settings: WorkerSettings) -> None:
    """What one worker does: from the last checkpoint, if there is one, to the end."""
    mailbox = ray.get_actor(settings.mailbox)
    if ray.get(mailbox.is_stopped.remote()):
        # Started again after an error that would only come again, or after the driver was interrupted.
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
    except RaynasError as error:
        ray.get(mailbox.fail.remote(error))
        raise
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # It would only come again.
        images = f" with {training.micro_batch} images a step" if training is not None else ""
        where = f"on {placement.device}"
        failure = TrainingFailed(f"A worker ran out of memory {where}{images}. {MEMORY_ADVICE}")
        ray.get(mailbox.fail.remote(failure))
        raise failure from error


def _check(stopped: Any) -> None:
    # Asking costs no message: the answer comes by itself.
    if ray.wait([stopped], timeout=0)[0]:
        raise _Stopped


def _save(training: FinalTraining, summary: Summary, mailbox: Any) -> None:
    """One checkpoint, written by rank 0; the others take part, as Ray demands."""
    metrics = summary.model_dump()
    if training.placement.rank != 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory(prefix="raynas-checkpoint-") as folder:
        torch.save(training.state_dict(), Path(folder) / STATE_FILE)
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
    ray.get(mailbox.put.remote(summary))
