"""Final training on Ray: one TorchTrainer whose workers train one network together.

Checkpoints are in the training's folder. When a worker or node is lost, all workers restart from the last
checkpoint, as many as before or, where the plan allows, those that are left. A later driver with the same
folder continues from there too.
"""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ray
import ray.exceptions
import ray.train
import ray.train.torch
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from raynas.engine.cluster import HEAD_NODE, set_poll_interval, set_start_timeout
from raynas.engine.final_checkpoints import load_state
from raynas.engine.final_mailbox import FinalMailbox
from raynas.engine.final_plan import TrainingPlan
from raynas.engine.final_worker import MEMORY_ADVICE, FinalWorkerSettings, TrainingFactory, train_worker
from raynas.engine.worker_memory import worker_environment
from raynas.errors import TrainingFailed
from raynas.files import CHECKPOINTS_FOLDER
from raynas.training.final_config import TrainingSummary

logger = logging.getLogger(__name__)

INTERRUPTED_FIT_TIMEOUT_SECONDS = 12.0
"""How long an interrupted driver waits for its workers before it leaves them to Ray."""
RAY_HEADING = re.compile(r"\s*$|Training failed due to \w+ errors?:|\[Rank \S+ Error Snippet\]:")
"""Lines of Ray's errors without information."""
TRAINING_START_TIMEOUT_SECONDS = 30.0
"""How long Ray Train waits for room for the workers before it looks again for how many there is room."""
MAX_WAITS_FOR_NODES = 120
"""Such waits in a row, an hour in all: a lost spot machine is rarely replaced at once."""
POLL_INTERVAL_SECONDS = 0.25
"""How often Ray Train's controller asks the workers for checkpoints. A worker goes on only once its last one
was fetched, so that Ray Train's own two seconds are as long as a whole epoch of a small data set.
"""


class TrainedStates(NamedTuple):
    """FinalTraining.state_dict after the last epoch, and after the one with the best score."""

    last: Mapping[str, Any]
    best: Mapping[str, Any]
    best_epoch: int


def train_on_cluster(
    factory: TrainingFactory,
    data: Any,
    *,
    plan: TrainingPlan,
    folder: Path,
    score: str,
    max_failures: int,
    batch_size: int,
    report_summary: Callable[[TrainingSummary], None],
) -> TrainedStates:
    """Trains a network to the end.

    Args:
        data: put into Ray's object store once.
        folder: folder of the training; Ray Train writes into CHECKPOINTS_FOLDER below it.
        score: field of the epochs' summaries by which the best is chosen; higher is better.
        batch_size: images per update, for messages.
        report_summary: called in this process after each epoch and each checkpoint within one.
    Raises:
        TrainingFailed: workers were lost too often, or the network diverged.
        UsageError: a worker raised it, such as DataError.
    """
    name = f"raynas-training-{uuid.uuid4().hex[:12]}"
    mailbox = ray.remote(FinalMailbox).options(name=name, num_cpus=0, resources=HEAD_NODE).remote()
    settings = FinalWorkerSettings(name, factory, [ray.put(data)], max(int(plan.cpus), 1), plan.gpus > 0)
    fit = _Fit(_trainer(settings, plan, folder, score, max_failures), score)
    fit.start()
    # In a thread of its own, because Trainer.fit blocks and this one has to report summaries.
    try:
        _report_until_end(fit, mailbox, report_summary)
        error = ray.get(mailbox.failure.remote())  # type: ignore[attr-defined]
    except ray.exceptions.RayError as lost:
        # The mailbox is gone: the head node ran out of memory, or is gone itself.
        raise workers_lost(lost, batch_size) from lost
    except BaseException:
        ray.get(mailbox.stop.remote())  # type: ignore[attr-defined]
        fit.join(INTERRUPTED_FIT_TIMEOUT_SECONDS)
        raise
    # The workers' own error comes first: Ray's may be its consequence.
    if error is not None:
        raise error  # type: ignore[misc]
    if fit.error is not None:
        raise workers_lost(fit.error, batch_size) from fit.error
    return fit.states()


def _report_until_end(fit: _Fit, mailbox: Any, report_summary: Callable[[TrainingSummary], None]) -> None:
    """Reports each summary as it comes, until training has ended and all are reported."""
    num_reported = 0
    # A call that is always open: it returns as soon as there is something new, so that nothing is polled.
    new_summaries = mailbox.after.remote(0)
    while fit.is_alive():
        # With a timeout, because no summary comes after the last one.
        if ray.wait([new_summaries], timeout=1.0)[0]:
            for summary in ray.get(new_summaries):
                num_reported += 1
                report_summary(summary)
            new_summaries = mailbox.after.remote(num_reported)
    # What came between the last look and the end of the thread.
    for summary in ray.get(mailbox.rest.remote(num_reported)):
        report_summary(summary)


class _Fit(threading.Thread):
    """Runs Trainer.fit in a thread, while the driver reports summaries."""

    def __init__(self, trainer: TorchTrainer, score: str) -> None:
        super().__init__(name="raynas-final-training", daemon=True)
        self.trainer = trainer
        self.score = score
        self.result: ray.train.Result | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.trainer.fit()
        # Ray raises SystemExit in threads that still wait for it when it is shut down.
        except (Exception, SystemExit) as error:
            logger.debug("final training ended", exc_info=True)
            self.error = error

    def states(self) -> TrainedStates:
        assert self.result is not None and self.result.checkpoint is not None
        last = load_state(self.result.checkpoint, "cpu")
        # Checkpoints within an epoch have no score.
        scored = [(c, m) for c, m in self.result.best_checkpoints or () if self.score in m]
        # Of equally good epochs the later one.
        checkpoint, summary = max(scored, key=lambda pair: (pair[1][self.score], pair[1]["epoch"]))
        same = checkpoint.path == self.result.checkpoint.path
        return TrainedStates(last, last if same else load_state(checkpoint, "cpu"), int(summary["epoch"]))


def workers_lost(error: BaseException, batch_size: int) -> TrainingFailed:
    """The error for the user when Ray has given up.

    Args:
        error: Ray's error, whose text may be pages long.
        batch_size: images per update.
    """
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if not RAY_HEADING.match(line)] or [""]
    # The error is the last line of a traceback, and the first line of any other text.
    reason = (lines[-1] if "Traceback" in text else lines[0])[:300].rstrip(".")
    # Ray's memory monitor kills a worker, and says so, before the kernel would kill it without a word.
    is_memory = "memory" in text.lower()
    advice = (
        f" Most likely memory ran out. An update has {batch_size} images, over all workers. {MEMORY_ADVICE}"
        if is_memory
        else ""
    )
    return TrainingFailed(
        f"The workers could not be kept training: {reason}.{advice} The last checkpoint is kept; resume the "
        "training from there (resume=True, --resume)."
    )


# Ray runs Ray Train V2 where its types are still V1's: mypy doesn't know V2's arguments, nor that a loop's
# config may be any value.
def _trainer(
    settings: FinalWorkerSettings, plan: TrainingPlan, folder: Path, score: str, max_failures: int
) -> TorchTrainer:
    set_start_timeout(TRAINING_START_TIMEOUT_SECONDS)
    set_poll_interval(POLL_INTERVAL_SECONDS)
    resources: dict[str, float] = {"CPU": plan.cpus}
    if plan.gpus:
        resources["GPU"] = plan.gpus
    return TorchTrainer(
        train_worker,  # type: ignore[arg-type]
        train_loop_config=settings,  # type: ignore[arg-type]
        # NCCL refuses two ranks on one GPU.
        torch_config=TorchConfig(backend="nccl" if plan.gpus >= 1 else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=(plan.at_least, plan.num_workers) if plan.is_elastic else plan.num_workers,  # type: ignore[arg-type]
            use_gpu=plan.gpus > 0,
            placement_strategy="SPREAD" if plan.is_spread else "PACK",
            resources_per_worker=resources,
        ),
        run_config=RunConfig(
            name=CHECKPOINTS_FOLDER,
            storage_path=str(folder.absolute()),
            worker_runtime_env=worker_environment(),
            # Keeps the best; Ray Train always keeps the latest as well.
            checkpoint_config=CheckpointConfig(num_to_keep=1, checkpoint_score_attribute=score),
            # Lost workers count as failures of training, waits for room as failures of the controller.
            failure_config=FailureConfig(  # type: ignore[call-arg]
                max_failures=max_failures, controller_failure_limit=MAX_WAITS_FOR_NODES
            ),
        ),
    )
