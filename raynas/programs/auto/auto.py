"""From images to an exported network in given hours; raynas auto as a function."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raynas.child import Child
from raynas.config import merged, validated, without_none
from raynas.data import load_split
from raynas.engine.cluster import connected
from raynas.errors import UsageError
from raynas.files import LAST_MODEL_FOLDER
from raynas.models.export import FORMATS, check_destination, export_model
from raynas.models.folder import load_model
from raynas.programs.auto import stages
from raynas.programs.auto.config import AutoConfig, AutoState, Stage
from raynas.programs.auto.folder import REPORT, WINNER, StateFile, default_folder, read_state
from raynas.programs.auto.pace import cell_spec, image_rate, measure_paces, num_cpus
from raynas.programs.auto.plan import (
    END,
    LADDER,
    TRAINING_START,
    Images,
    plan_hours,
    promotion_plan,
    promotion_seconds,
    training_plan,
)
from raynas.programs.auto.report import auto_report, results
from raynas.programs.auto.results import Result
from raynas.programs.report.html import to_html
from raynas.programs.search.result import SearchResult
from raynas.run.records import ChildRecord, RunListener
from raynas.training.final_config import ClassifierSummary

LATE = 1.15
"""Share of the hours beyond which no baseline is begun."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class PreparedAuto:
    """An automatic run of which everything is known and nothing is started."""

    folder: Path
    state: AutoState
    is_new: bool
    began: float
    """Moment at which the work on it began: images were looked at and paces measured."""
    notes: Sequence[str] = ()
    """What was found in the data, in lines."""


@dataclass(frozen=True)
class AutoResult:
    """What an automatic run leaves behind."""

    folder: Path
    file: Path
    """The exported network; its card lies beside it."""
    report: Path
    """One page of HTML."""
    results: Sequence[Result]
    """The winner, then the baselines that were trained."""


def prepare_auto(
    *,
    data: str | Path | None = None,
    hours: float,
    export: str = "onnx",
    out: str | Path | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> PreparedAuto:
    """Looks at the images, measures the pace of this machine and plans the hours; starts and writes nothing.

    Arguments are those of `auto`.

    Raises:
        UsageError: an argument can't be used, or the hours are too few; says the least that would do.
    """
    began = time.time()
    config = _config(data, hours, export, seed, settings)
    folder = Path(out) if out is not None else default_folder(config.data.source)
    state = read_state(folder, config)
    check_destination(config.export, folder / f"model.{config.export}", force=True)
    if state is not None:
        return PreparedAuto(folder, state, is_new=False, began=began)
    split = load_split(config.data, seed=config.seed)
    images = Images(
        train=split.num_train_images,
        validation=split.num_validation_images,
        image_size=split.image_size,
        channels=split.num_channels,
        classes=split.num_classes,
    )
    paces = measure_paces(config.hours * 3600, images)
    plan = plan_hours(config.hours * 3600, images, paces)
    state = AutoState(config=config, images=images, paces=paces, plan=plan, first_plan=plan)
    return PreparedAuto(folder, state, is_new=True, began=began, notes=split.described())


def auto(
    data: str | Path | None = None,
    *,
    hours: float,
    export: str = "onnx",
    out: str | Path | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    say: Say = lambda _: None,
) -> AutoResult:
    """From images to an exported network in so many hours, beside baselines that are trained in the same way.

        raynas.auto("photos/", hours=8)

    It searches, promotes the best cells, and trains the winner, ResNet-18, NASNet-A of the same size and a
    random cell by the same recipe for the same number of epochs. The same call continues an interrupted run.

    Args:
        data: 'digits', Parquet files, a CSV file of labels, or a folder with one folder per class.
        hours: of work; pauses between an interruption and the next call don't count.
        export: 'onnx', 'pt2' or 'safetensors'.
        out: the run's folder. Defaults to runs/auto-NAME, after the name of the data.
        seed: seed of the search, of the data's split and of every training.
        settings: other fields of AutoConfig, nested, such as {"data": {"train_images": 2000}}.
        say: called with lines of progress.
    Raises:
        UsageError: an argument can't be used, or the hours are too few; says the least that would do.
        SearchFailed, TrainingFailed: a stage failed.
    """
    prepared = prepare_auto(data=data, hours=hours, export=export, out=out, seed=seed, settings=settings)
    return run_auto(prepared, say=say)


def run_auto(prepared: PreparedAuto, *, say: Say = lambda _: None) -> AutoResult:
    """Carries out a prepared run to its end, from wherever it was; errors are those of `auto`."""
    file = StateFile(prepared.folder, prepared.state, began=prepared.began)
    if file.state.stage != "done":
        # One connection for all stages: Ray takes seconds to start.
        with connected(folder=prepared.folder):
            for stage, run in _STAGES.items():
                if file.state.stage == stage:
                    run(file, say)
    return _finish(file)


def _config(
    data: str | Path | None,
    hours: float,
    export: str,
    seed: int | None,
    settings: Mapping[str, Any] | None,
) -> AutoConfig:
    if export not in FORMATS:
        raise UsageError(f"The export format {export!r} is unknown. Known: {', '.join(FORMATS)}.")
    arguments = {"data": {"source": None if data is None else str(data)}, "seed": seed}
    base = {"hours": hours, "export": export}
    return validated(AutoConfig, merged(merged(base, settings or {}), without_none(arguments)))


@dataclass
class _Progress(RunListener):
    """Says what becomes of each child, and counts the time as work."""

    file: StateFile
    say: Say
    name: str
    _is_new: bool = field(default=False, init=False)

    def replayed(self) -> None:
        self._is_new = True

    def epoch_reported(self, record: ChildRecord, report: object) -> None:
        self.file.touch()

    def child_finished(self, record: ChildRecord, child: Child) -> None:
        if not self._is_new or record.result is None:
            return
        self.file.touch()
        result = record.result
        score = "no score" if result.accuracy is None else f"accuracy={result.accuracy:.4f}"
        self.say(
            f"{self.name}: child {record.id} {result.status}, {record.proposed.arch_id} {score}, "
            f"{result.seconds:.0f} s"
        )


def _search(file: StateFile, say: Say) -> None:
    plan = file.state.plan.search
    seconds = plan.seconds - file.state.spent_seconds
    result = stages.run_search(file.folder, file.state, seconds, [_Progress(file, say, "search")])
    left = file.seconds_left()
    best = len({entry.arch_id for entry in result.leaderboard if entry.reward is not None})
    promotion = promotion_plan(
        promotion_seconds(left),
        _final_rate(file.state),
        file.state.images,
        slowdown=_slowdown(file.state, result),
        most=best,
    )
    changed = promotion or file.state.plan.promotion.model_copy(update={"top": min(2, best), "epochs": 1})
    _end(file, "search", "promotion", promotion=changed)
    say(f"plan: promotion of {changed.top} cells, {changed.epochs} epochs each")


def _promotion(file: StateFile, say: Say) -> None:
    state = file.state
    seconds = state.ends["search"] + state.plan.promotion.seconds - state.spent_seconds
    stages.run_promotion(file.folder, state, seconds, [_Progress(file, say, "promotion")])
    rates = [_rate(state, finalist) for finalist in stages.finalists(file.folder, state)]
    training = training_plan(file.seconds_left(), rates, state.images)
    _end(file, "promotion", "training", training=training)
    say(f"plan: {training.epochs} epochs for each of {len(rates)} networks")


def _training(file: StateFile, say: Say) -> None:
    def epoch_done(name: str, summary: ClassifierSummary) -> None:
        file.touch()
        say(f"{name}: epoch {summary.epoch}, top-1 {summary.top1:.4f}")

    state = file.state
    for finalist in stages.finalists(file.folder, state):
        if stages.is_trained(file.folder, finalist.name):
            continue
        needed = state.plan.training.epochs * state.images.work() / _rate(state, finalist) + TRAINING_START
        late = file.seconds_left() - needed - END + (LATE - 1) * state.config.hours * 3600
        if finalist.name != WINNER and late < 0:
            reason = f"its training would have ended {-late:.0f} s beyond {LATE:.0%} of the hours"
            file.update(left_out=file.state.left_out | {finalist.name: reason})
            say(f"{finalist.name}: left out, {reason}")
            continue
        stages.train_finalist(file.folder, state, finalist, epoch_done)
    _end(file, "training", "done")


_STAGES: Mapping[Stage, Callable[[StateFile, Say], None]] = {
    "search": _search,
    "promotion": _promotion,
    "training": _training,
}


def _end(file: StateFile, stage: Stage, following: Stage, **plans: Any) -> None:
    file.touch()
    state = file.state
    file.update(
        stage=following,
        ends=state.ends | {stage: state.spent_seconds},
        plan=state.plan.model_copy(update=plans),
    )


def _finish(file: StateFile) -> AutoResult:
    folder, state = file.folder, file.state
    target = folder / f"model.{state.config.export}"
    if not target.exists():
        export_model(load_model(folder / WINNER / LAST_MODEL_FOLDER), state.config.export, target, force=True)
    file.touch()
    found = results(folder, file.state)
    report = folder / REPORT
    report.write_text(
        to_html(auto_report(folder, file.state, found)), encoding="utf-8", errors="backslashreplace"
    )
    return AutoResult(folder, target, report, found)


def _final_rate(state: AutoState) -> float:
    return state.paces.networks[LADDER.index((state.plan.cells_per_stack, state.plan.filters))]


def _rate(state: AutoState, finalist: stages.Finalist) -> float:
    """Images per second of a network that is trained to the end; measured for those that are cells."""
    if finalist.genotype is None:
        return state.paces.reference
    plan = state.plan
    return image_rate(
        cell_spec(finalist.genotype, plan.cells_per_stack, plan.filters, state.images), state.paces.threads
    )


def _slowdown(state: AutoState, result: SearchResult) -> float:
    """How much longer an epoch of a child took than was planned, at least 1."""
    plan, slots = state.plan.search, num_cpus()
    planned = state.images.work(plan.train_images) / (state.paces.search / slots)
    return max((result.epoch_seconds or planned) / planned, 1.0)
