"""Scores of other runs: what was trained there at the same fidelity is not trained again here. Pure Python.

The fidelity is the network around the cell (with what the search space says of it), the child's training, and
the very images with their labels, as they are split into training and validation. Not of it are the seeds of
initialisation and batches, which are chance, and which equal cells of one run share a score over; the search
space and the strategy, as an arch_id is the whole cell; the scheduler, as full trainings alone count; the
workers and their machines. A field that the other version of raynas did not know counts as a difference.

Read once, when a search begins. What is reused goes into the search's own journal, so that resuming it needs
no other run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raynas.child import ChildResult
from raynas.errors import RunFolderError, UsageError
from raynas.files import JOURNAL_FILE
from raynas.run.events import Finished, Origin
from raynas.run.recorded import RecordedRun
from raynas.run.records import ChildRecord

TRAINING_FIELDS = ("network", "child")
"""Of the config, what a score depends on beside the images."""
IMAGE_FIELDS = ("data", "seed")
"""What chose the images: why they are others."""


@dataclass(frozen=True, slots=True)
class MemoScore:
    """What came of an architecture, and the child that was trained for it."""

    result: ChildResult
    origin: Origin


@dataclass
class Memo:
    """By arch_id, the first full score of each architecture."""

    scores: dict[str, MemoScore] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Sentences about what was found, for the user."""


def read_memo(place: Path, *, images: str, config: Mapping[str, Any], own: Path) -> Memo:
    """The scores that a run of this fidelity can take over.

    Args:
        place: a run's folder, or a folder of runs: a store. In a store only what fits is taken.
        images, config: of the run that asks, as its journal has them.
        own: its folder, which is left out of a store.
    Raises:
        UsageError: there is no such folder, or the one run that it names has another fidelity or is damaged.
    """
    if (place / JOURNAL_FILE).is_file():
        return _of_run(place, images, config)
    if not place.is_dir():
        raise UsageError(
            f"memo = '{place}' is no folder. Give a run's folder, or one whose sub folders are runs."
        )
    return _of_store(place, images, config, own)


def _of_run(folder: Path, images: str, config: Mapping[str, Any]) -> Memo:
    run = RecordedRun.read(folder)
    problem = _mismatch(run, images, config)
    if problem:
        raise RunFolderError(
            f"The scores of {folder} can't be reused here: {problem}. Make these settings equal, or leave "
            "--memo out."
        )
    memo = Memo(_scores(run))
    memo.notes.append(f"memo: {len(memo.scores):,} scores of {folder} are there to be reused")
    return memo


def _of_store(store: Path, images: str, config: Mapping[str, Any], own: Path) -> Memo:
    memo, fitting, others = Memo(), list[RecordedRun](), list[str]()
    folders = sorted(path.parent for path in store.glob(f"*/{JOURNAL_FILE}"))
    for folder in folders:
        if folder.resolve() == own.resolve():
            continue
        try:
            run = RecordedRun.read(folder)
        except RunFolderError as error:
            others.append(f"memo: {folder} is left out: {error}")
            continue
        problem = _mismatch(run, images, config)
        if problem:
            others.append(f"memo: {folder} is left out: {problem}")
        else:
            fitting.append(run)
    # The oldest first, so that it does not depend on names whose score counts.
    for run in sorted(fitting, key=lambda run: run.started.time):
        memo.scores = _scores(run) | memo.scores
    memo.notes.append(
        f"memo: {len(memo.scores):,} scores of {len(fitting)} runs in {store} are there to be reused"
    )
    memo.notes += others
    return memo


def _scores(run: RecordedRun) -> dict[str, MemoScore]:
    scores: dict[str, MemoScore] = {}
    for record in run.records.values():
        if _is_full(record):
            assert record.finished is not None
            here = Origin(run_id=run.started.run_id, folder=str(run.folder), child=record.id)
            result = record.finished.result
            scores.setdefault(record.proposed.arch_id, MemoScore(result, record.finished.memo or here))
    return scores


def _is_full(record: ChildRecord) -> bool:
    """Whether it was trained to its last epoch, here or in a run whose score it has; not by another child."""
    finished: Finished | None = record.finished
    return finished is not None and finished.result.status == "completed" and finished.reused_from is None


def _mismatch(run: RecordedRun, images: str, config: Mapping[str, Any]) -> str:
    """Why scores of that run are no scores of this one; empty if they are."""
    started = run.started
    if started.images is None:
        return "its journal does not say on which images its children were trained"
    are_equal = started.images == images
    differences = [
        f"{name} is {_short(theirs)} there and {_short(ours)} here"
        for field_name in (*TRAINING_FIELDS, *(() if are_equal else IMAGE_FIELDS))
        for name, theirs, ours in _differences(
            field_name, started.config.get(field_name), config.get(field_name)
        )
    ]
    if not are_equal and not differences:
        return "its images are others, though they come from a place of the same name"
    return "; ".join(differences)


def _differences(name: str, theirs: Any, ours: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        keys = sorted({*theirs, *ours}, key=str)
        return [
            found for key in keys for found in _differences(f"{name}.{key}", theirs.get(key), ours.get(key))
        ]
    # A journal has lists where a config has tuples.
    return [] if theirs == ours else [(name, theirs, ours)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class EqualCells:
    """One owner for each architecture: the child that is trained, or was, for all that are equal to it."""

    def __init__(self) -> None:
        self._owners: dict[str, int] = {}
        self._waiting: dict[int, list[int]] = {}

    @property
    def is_awaited(self) -> bool:
        """Whether any child waits for another's score."""
        return bool(self._waiting)

    def owner(self, child_id: int, arch_id: str) -> int:
        """The child whose score counts for `arch_id`; `child_id` itself if there is none yet."""
        return self._owners.setdefault(arch_id, child_id)

    def wait(self, child_id: int, owner: int) -> None:
        self._waiting.setdefault(owner, []).append(child_id)

    def ended(self, child_id: int, arch_id: str, *, is_scored: bool) -> list[int]:
        """The children that waited for this one; without a score the next of them is to be trained."""
        if not is_scored and self._owners.get(arch_id) == child_id:
            del self._owners[arch_id]
        return self._waiting.pop(child_id, [])
