"""Final training on Ray: one TorchTrainer whose workers train one network together.

Checkpoints lie in the run's folder. A lost worker or node restarts all of them from the last one, on as many
workers or, where the plan allows, on what is left of them; a later driver with the same folder goes on from
there too.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ray
import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from raynas.engine.cluster import HEAD_NODE, set_patience
from raynas.engine.final_plan import TrainingPlan
from raynas.errors import RaynasError, TrainingFailed
from raynas.training import Placement
from raynas.training.device import is_out_of_memory
from raynas.training.final import FinalTraining
from raynas.training.final_config import EpochSummary

logger = logging.getLogger(__name__)

TrainingFactory = Callable[[Placement, Any], FinalTraining]
"""Called in each worker with the data at the start of training."""
STATE_FILE = "state.pt"
SCORE = "top1"
INTERRUPTED_SECONDS = 12.0
"""How long an interrupted driver waits for its workers before it leaves them to Ray."""
FOLDER = "checkpoints"
MEMORY_ADVICE = (
    "Raise training.accumulate or lower training.batch_size or data.image_size; on a host, data.processes "
    "and the number of workers per node count too."
)
PATIENCE_SECONDS = 30.0
"""For workers to find room; then it is looked again how many there is room for."""
MAX_WAITS_FOR_NODES = 120
"""An hour in all: a lost spot machine is rarely replaced at once."""


class Mailbox:
    """What workers tell the driver: summaries of epochs, and an error that would only come again."""

    def __init__(self) -> None:
        self.summaries: list[EpochSummary] = []
        self.error: RaynasError | None = None
        self._news = asyncio.Condition()
        self._stop = asyncio.Event()

    async def put(self, summary: EpochSummary) -> None:
        # Epochs that are trained again after a failure are told once.
        if not self.summaries or summary.epoch > self.summaries[-1].epoch:
            self.summaries.append(summary)
            async with self._news:
                self._news.notify_all()

    async def after(self, count: int) -> list[EpochSummary]:
        """The summaries beyond the first `count`, as soon as there is one."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.summaries) > count)
        return self.summaries[count:]

    async def rest(self, count: int) -> list[EpochSummary]:
        """The same, but without waiting."""
        return self.summaries[count:]

    async def fail(self, error: RaynasError) -> None:
        self.error = error
        self._stop.set()

    async def failure(self) -> RaynasError | None:
        return self.error

    async def stop(self) -> None:
        self._stop.set()

    async def is_stopped(self) -> bool:
        return self._stop.is_set()

    async def stopped(self) -> None:
        """Answers when training is to end."""
        await self._stop.wait()


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
    report: Callable[[EpochSummary], None],
) -> TrainedStates:
    """Trains to the end.

    Args:
        data: put into Ray's object store once.
        folder: of the run; FOLDER below it is Ray's.
        report: called here, after each epoch.
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
    except BaseException:
        ray.get(mailbox.stop.remote())
        fit.join(INTERRUPTED_SECONDS)
        raise
    summaries, error = ray.get([mailbox.rest.remote(seen), mailbox.failure.remote()])
    for summary in summaries:
        report(summary)
    if error is not None:
        raise error
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
        if self.error is not None or self.result is None or self.result.checkpoint is None:
            reason = str(self.error or "there is no checkpoint")
            # Ray kills a worker before the kernel would.
            advice = f" {MEMORY_ADVICE}" if "memory" in reason.lower() else ""
            raise TrainingFailed(
                f"The workers could not be kept training: {reason}. What is in the last checkpoint is kept; "
                f"go on with --resume.{advice}"
            ) from self.error
        last = load_state(self.result.checkpoint, "cpu")
        scored = [(c, m) for c, m in self.result.best_checkpoints or () if SCORE in m]
        checkpoint, summary = max(scored, key=lambda pair: (pair[1][SCORE], pair[1]["epoch"]))
        same = checkpoint.path == self.result.checkpoint.path
        return TrainedStates(last, last if same else load_state(checkpoint, "cpu"), int(summary["epoch"]))


def load_state(checkpoint: Checkpoint, device: str) -> Mapping[str, Any]:
    """Tensors and numbers; nothing else is unpickled."""
    with checkpoint.as_directory() as folder:
        state: Mapping[str, Any] = torch.load(
            Path(folder) / STATE_FILE, map_location=device, weights_only=True
        )
    return state


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
    except RuntimeError as error:
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


def _save(training: FinalTraining, summary: EpochSummary | None, mailbox: Any) -> None:
    """One checkpoint, written by rank 0; the others take part, as Ray demands."""
    metrics = summary.model_dump() if summary is not None else {"step": training.step}
    if training.placement.rank != 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory(prefix="raynas-checkpoint-") as folder:
        torch.save(training.state_dict(), Path(folder) / STATE_FILE)
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))
    if summary is not None:
        ray.get(mailbox.put.remote(summary))
