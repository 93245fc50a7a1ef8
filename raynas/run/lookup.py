"""Finds the cell that a user means: by name, in a JSON file, or in a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from raynas.cells.genotype import Genotype
from raynas.cells.published import published_cell, published_cells
from raynas.cells.space import make_space
from raynas.config import Choice, validated
from raynas.errors import RunFolderError, UnknownName, UsageError
from raynas.files import JOURNAL_FILE
from raynas.run.events import Origin
from raynas.run.folder import find_run
from raynas.run.recorded import RecordedRun


@dataclass(frozen=True, slots=True)
class FoundCell:
    """A cell, and the child of a run whose cell it is, if it was found in a run."""

    genotype: Genotype
    origin: Origin | None = None


def find_genotype(cell: str | None, run: Path | None = None) -> Genotype:
    """The genotype of a cell. Arguments and errors are those of `find_cell`."""
    return find_cell(cell, run).genotype


def find_cell(cell: str | None, run: Path | None = None) -> FoundCell:
    """The cell that a user means by a name, a file, a run or an arch_id.

    Args:
        cell: A published cell, a JSON file, a run's folder (its best cell), or the beginning of an arch_id.
            Defaults to the best cell of `run`.
        run: The run in which arch_ids are looked up. Defaults to the newest.

    Raises:
        UsageError: nothing is found by that; the message suggests the nearest name.
    """
    # Names first, so that a folder of the same name in the current directory doesn't hide a published cell.
    if cell is not None and cell in published_cells():
        return FoundCell(published_cell(cell).genotype)
    if cell is not None and (Path(cell) / JOURNAL_FILE).is_file():
        return _in_run(None, Path(cell))
    if cell is not None and (Path(cell).suffix == ".json" or Path(cell).is_file()):
        return FoundCell(_read(Path(cell)))
    try:
        folder = find_run(run)
    except RunFolderError:
        if run is not None or cell is None:
            raise
        # There is no run to look in, so `cell` can only have been meant as a published one: this raises
        # UnknownName, which lists them.
        return FoundCell(published_cell(cell).genotype)
    return _in_run(cell, folder)


def _read(path: Path) -> Genotype:
    try:
        return Genotype.from_json(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} can't be read: {error}. Give a JSON file with a normal and a reduction cell."
        ) from error


def _in_run(cell: str | None, folder: Path) -> FoundCell:
    run = RecordedRun.read(folder)
    for entry in run.entries:
        # Entries are the best first: a beginning that fits several arch_ids means the best of them.
        if cell is None or (cell and entry.arch_id.startswith(cell)):
            origin = Origin(run_id=run.started.run_id, folder=str(folder), child=entry.child)
            return FoundCell(decoded(run, entry.child), origin)
    if cell is None:
        raise RunFolderError(f"{folder} has no children yet.")
    hint = f"It is no file, and no arch_id in {folder} begins so; --run looks in another run."
    raise UnknownName("published cell", cell, published_cells(), hint)


def decoded(run: RecordedRun, child_id: int) -> Genotype:
    """The cells of one child of a run; RunFolderError if its journal was changed so that there are none."""
    choice = validated(Choice, run.started.config.get("space", {}), where="the journal's space")
    space = make_space(choice.name, **choice.options)
    try:
        return space.decode(run.records[child_id].proposed.actions)
    except ValueError as error:
        raise RunFolderError(f"the journal's child {child_id} is not from its space: {error}.") from error
