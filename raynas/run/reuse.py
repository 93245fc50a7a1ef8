"""Scores that are used again: those of equal cells in one run, and those of other runs. Pure Python.

A score of another run counts if it was measured at the same fidelity. That is the network around the cell
(with what the search space says of it), the child's training, and the very images with their labels, as they
are split into training and validation. A field of these that the other version of raynas did not know counts
as a difference. Not part of the fidelity are

- the seeds of initialisation and batches: they are chance, and equal cells of one run share a score too;
- the search space and the strategy: an arch_id stands for the whole cell;
- the scheduler: only trainings to the last epoch count;
- the workers and their machines.

Other runs are read once, when a search begins. What is reused goes into the search's own journal, so that
resuming it needs no other run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raynas.child import Child, ChildResult
from raynas.config import differences
from raynas.errors import RunFolderError, UsageError, shortened
from raynas.files import JOURNAL_FILE
from raynas.run.events import Origin
from raynas.run.recorded import RecordedRun
from raynas.run.records import ChildRecord, outcome_of
from raynas.run.state import RunState

TRAINING_FIELDS = ("network", "child")
"""Fields of the config that a score depends on, beside the images."""
IMAGE_FIELDS = ("data", "seed")
"""Fields of the config that choose the images. They tell why the images differ, if they do."""
SHOWN_VALUE_LENGTH = 60
"""Characters of a setting's value in a message."""


@dataclass(frozen=True, slots=True)
class MemoScore:
    """The result of an architecture, and the child that was trained for it."""

    result: ChildResult
    origin: Origin


@dataclass
class Memo:
    """The scores of other runs."""

    scores: dict[str, MemoScore] = field(default_factory=dict)
    """The first score of each architecture that was trained to its last epoch, by arch_id."""
    notes: list[str] = field(default_factory=list)
    """Sentences about what was found, for the user."""


def read_memo(place: Path, *, images: str, config: Mapping[str, Any], own: Path) -> Memo:
    """The scores that a search can use again.

    Args:
        place: A run's folder, or a store, a folder of runs. In a store, runs of another fidelity are left
            out.
        images: Digest of the search's images, as in its journal.
        config: The search's config, as in its journal.
        own: The search's folder, which is left out of a store.

    Raises:
        UsageError: there is no such folder, or it is one run that has another fidelity or is damaged.
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
            "memo out."
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
    # The oldest run first, so that whose score counts does not depend on the names of the folders.
    for run in sorted(fitting, key=lambda run: run.started.time):
        # Of two scores, the one on the right of the operator counts: that of the older run.
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
            # A score that this run took over itself keeps the run that it came from in the first place.
            scores.setdefault(record.proposed.arch_id, MemoScore(result, record.finished.memo or here))
    return scores


def _is_full(record: ChildRecord) -> bool:
    """Whether it was trained to its last epoch, in this run or in the one whose score it took over.

    A child with the score of another of its own run adds nothing: that other child is in the journal.
    """
    finished = record.finished
    return finished is not None and finished.result.status == "completed" and finished.reused_from is None


def _mismatch(run: RecordedRun, images: str, config: Mapping[str, Any]) -> str:
    """Why the scores of that run don't count in a search with this config; empty if they do."""
    started = run.started
    if started.images is None:
        return "its journal does not say on which images its children were trained"
    are_equal = started.images == images
    fields = TRAINING_FIELDS if are_equal else TRAINING_FIELDS + IMAGE_FIELDS
    theirs, ours = ({name: values.get(name) for name in fields} for values in (started.config, config))
    found = [
        f"{name} is {_shown(there)} there and {_shown(here)} here"
        for name, (there, here) in differences(theirs, ours).items()
    ]
    if not are_equal and not found:
        return "its images are others, though they come from a place of the same name"
    return "; ".join(found)


def _shown(value: Any) -> str:
    return shortened(repr(value), SHOWN_VALUE_LENGTH)


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a child ended, and whose training that was; without `reused_from` and `memo`, its own."""

    result: ChildResult
    reused_from: int | None = None
    """The child of this run that was trained for it."""
    memo: Origin | None = None
    """The child of another run that was trained for it."""


class SharedScores:
    """Tells a driver which children need no training of their own.

    One child is trained for all that have the same architecture. Those that are proposed after it has ended
    get its score at once; those that are proposed while it is being trained wait for it.

    What waits for what is not in the journal. After a resume the children that waited are proposals without
    an end, which are handed out again, and then wait again or not.
    """

    def __init__(self, state: RunState, memo: Mapping[str, MemoScore]) -> None:
        self._state = state
        self._memo = memo
        self._training: dict[str, int] = {}
        """The child that is being trained for all of its architecture, by arch_id."""
        self._waiting: dict[int, list[int]] = {}
        """The children that wait for the score of another, by the id of that one."""

    @property
    def is_awaited(self) -> bool:
        """Whether any child waits for another's score."""
        return bool(self._waiting)

    def find(self, child: Child) -> ChildEnd | None:
        """How `child` ends without being trained, if this run or another has a score of its architecture."""
        owner = self._state.scored.get(child.arch_id)
        if owner is not None:
            return self._of_child(owner)
        known = self._memo.get(child.arch_id)
        # A cell that this run is training already is waited for, so that its equals share one score.
        if known is None or child.arch_id in self._training:
            return None
        outcome = outcome_of(self._state.records[child.id].proposed, known.result)
        # A reward may need what the other run did not measure, such as the latency.
        if self._state.reward.missing(outcome):
            return None
        return ChildEnd(_untrained(known.result), memo=known.origin)

    def train(self, child_id: int, arch_id: str) -> int:
        """The child that is trained for all of this architecture; `child_id` itself if there was none."""
        return self._training.setdefault(arch_id, child_id)

    def wait(self, child_id: int, trained: int) -> None:
        """Notes that a child waits for the end of `trained`, an equal cell that is being trained."""
        self._waiting.setdefault(trained, []).append(child_id)

    def release(self, child_id: int, arch_id: str) -> tuple[list[int], ChildEnd | None]:
        """The children that waited for this one, which has ended, and how they end with its score.

        If it has no score, the second is None. They are then to be handed out again, and the first of them
        is trained for the others.
        """
        # Nothing is marked as being trained where scores are not reused, nor for a refused proposal.
        if self._training.get(arch_id) == child_id:
            del self._training[arch_id]
        waiting = self._waiting.pop(child_id, [])
        result = self._state.records[child_id].result
        # As in state.py, a score counts for others only after a whole training.
        is_scored = result is not None and result.status == "completed"
        return waiting, self._of_child(child_id) if is_scored else None

    def _of_child(self, child_id: int) -> ChildEnd:
        result = self._state.records[child_id].result
        assert result is not None
        return ChildEnd(_untrained(result), reused_from=child_id)


def _untrained(result: ChildResult) -> ChildResult:
    """Another child's result, for one that takes no worker's time."""
    return result.model_copy(update={"seconds": 0.0})
