"""The results of a benchmark on disk, one line a run, so that a benchmark that is cut off can be continued.

The first line says what was benchmarked: results of other settings can't be added, nor taken for these. The
number of seeds is not among the settings, as no run depends on it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import TypeAdapter, ValidationError

from raynas.config import FrozenModel, differences
from raynas.errors import RunFolderError, SearchFailed, shortened
from raynas.files import LineFile, drop_torn_line, put_new_file
from raynas.programs.benchmark.benchmark import BenchmarkSetting, SeedResult
from raynas.programs.benchmark.contender import Contender
from raynas.programs.benchmark.recipe import BenchmarkRecipe
from raynas.programs.benchmark.report.circumstances import sha256_of
from raynas.programs.benchmark.table import ArchTable

RESULTS_FILE = "results.jsonl"
"""Name of the file in the folder of a benchmark's report."""
_RESULT = TypeAdapter(SeedResult)


class Begun(FrozenModel):
    """The first line of the file."""

    kind: Literal["benchmark"] = "benchmark"
    format: Literal[1] = 1
    raynas: str
    """Version of raynas; another one may propose other architectures."""
    settings: dict[str, Any]
    """All that a run's result depends on, besides its seed."""


def begun(
    recipe: BenchmarkRecipe, table: ArchTable, setting: BenchmarkSetting, contenders: Sequence[Contender]
) -> Begun:
    """What is benchmarked. A table is known by its content, so that it may lie elsewhere at a resume."""
    settings = {
        "table": sha256_of(recipe.table),
        "columns": recipe.model_dump(mode="json", exclude={"table", "space", "budget"}),
        "space": {"name": recipe.space, **table.space.model_dump(mode="json")},
        "budget": list(setting.budgets),
        "workers": setting.workers,
        "equal_cells": setting.equal_cells,
        "strategies": {
            contender.label: {"name": contender.strategy, **contender.resolved_options()}
            for contender in contenders
        },
    }
    return Begun(raynas=version("raynas"), settings=settings)


class KeptResults:
    """The file of results, open for more of them.

    Attributes:
        seed_results: the runs that earlier processes finished.
    """

    def __init__(self, path: Path, file: LineFile, seed_results: Sequence[SeedResult] = ()) -> None:
        self.path = path
        self.seed_results = seed_results
        self._file = file

    @classmethod
    def create(cls, folder: Path, begun: Begun) -> Self:
        """A new file in `folder`.

        Raises:
            RunFolderError: it can't be made, or is there already.
        """
        path = folder / RESULTS_FILE
        temporary = path.with_name(f".{path.name}")
        try:
            # A file without its first line could not be continued, so it gets its name after that.
            file = LineFile(temporary)
            file.append(begun.model_dump_json().encode() + b"\n")
            put_new_file(temporary, path)
        except OSError as error:
            raise RunFolderError(f"{path} can't be made: {error.strerror}. Choose another folder.") from error
        return cls(path, file)

    @classmethod
    def reopen(cls, folder: Path, begun: Begun, table: ArchTable) -> Self:
        """The file of an earlier process, without a last line that was cut off.

        Raises:
            RunFolderError: there is none, another process writes it, it is damaged, or has other settings.
        """
        path = folder / RESULTS_FILE
        check_is_begun(folder)
        with contextlib.ExitStack() as undo:
            file = undo.enter_context(_opened(path))
            drop_torn_line(path)
            first, *rest = path.read_bytes().splitlines() or [b""]
            _check_same(path, _parse_first(path, first), begun)
            results = [_parse(path, number, line) for number, line in enumerate(rest, start=2)]
            _check_results(path, results, begun, table)
            undo.pop_all()
        return cls(path, file, results)

    def append(self, seed_result: SeedResult) -> None:
        """Adds a result, and returns when it is on the disk.

        Raises:
            SearchFailed: it can't be written; earlier results are kept.
        """
        try:
            self._file.append(_RESULT.dump_json(seed_result) + b"\n")
        except OSError as error:
            raise SearchFailed(
                f"{self.path} can't be written: {error.strerror}. What it holds is intact, and the benchmark "
                "ends here. Make room on the disk, and continue it with --resume."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._file.close()


def check_is_begun(folder: Path) -> None:
    """RunFolderError unless a benchmark was begun in `folder`."""
    if not (folder / RESULTS_FILE).is_file():
        raise RunFolderError(
            f"There is no benchmark to resume: {folder / RESULTS_FILE} does not exist. Begin one without "
            "--resume, or give the folder of its report."
        )


def _opened(path: Path) -> LineFile:
    try:
        return LineFile(path)
    except BlockingIOError:
        raise RunFolderError(
            f"{path} is being written by another process. Wait until that benchmark has ended, or stop it."
        ) from None
    except OSError as error:
        raise RunFolderError(f"{path} can't be written: {error.strerror}.") from error


def _parse_first(path: Path, line: bytes) -> Begun:
    try:
        return Begun.model_validate_json(line)
    except ValidationError as error:
        raise _damaged(path, 1, error.errors()[0]["msg"]) from None


def _parse(path: Path, number: int, line: bytes) -> SeedResult:
    try:
        return _RESULT.validate_json(line, strict=True)
    except (ValidationError, RecursionError) as error:
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "nested too deeply"
        raise _damaged(path, number, problem) from None


def _check_same(path: Path, before: Begun, now: Begun) -> None:
    changed = differences(before.model_dump(mode="json"), now.model_dump(mode="json"))
    for field, (old, new) in changed.items():
        name = field.removeprefix("settings.")
        if name == "table":
            what = "another table: the content of the file is not the same"
        else:
            what = f"{name} = {shortened(repr(old), 100)}, not {shortened(repr(new), 100)}"
        raise RunFolderError(
            f"The benchmark in {path.parent} was begun with {what}. At a resume only the number of seeds, "
            "--processes and --format may change. Give the settings of its beginning, or another folder."
        )


def _check_results(path: Path, results: Sequence[SeedResult], begun: Begun, table: ArchTable) -> None:
    """RunFolderError if a result can't be one of this benchmark."""
    known: set[tuple[str, int]] = set()
    for number, result in enumerate(results, start=2):
        if result.label not in begun.settings["strategies"] or result.seed < 0:
            raise _damaged(path, number, f"{result.label!r}, seed {result.seed}, takes no part")
        if (result.label, result.seed) in known:
            raise _damaged(path, number, f"{result.label!r}, seed {result.seed}, is there a second time")
        known.add((result.label, result.seed))
        ends = (*result.earlier, result)
        if [end.run.budget for end in ends] != begun.settings["budget"]:
            raise _damaged(path, number, "its budgets are not those of this benchmark")
        if not all(_is_of_table(end, table) for end in ends):
            raise _damaged(path, number, "its scores are not those of the table")


def _is_of_table(result: SeedResult, table: ArchTable) -> bool:
    """Whether a result can have come from this table, by its improvements and its counts."""
    run = result.run
    if not 0 <= run.num_distinct <= run.num_children or min(run.num_reused, run.num_absent) < 0:
        return False
    time, signal = 0.0, float("-inf")
    for best in run.trajectory:
        row = table.rows.get(best.name)
        if row is None or (row.signal, row.result) != (best.signal, best.result):
            return False
        if not (time <= best.time <= run.budget and signal < best.signal):
            return False
        time, signal = best.time, best.signal
    return result.seconds >= 0


def _damaged(path: Path, number: int, problem: str) -> RunFolderError:
    return RunFolderError(
        f"{path}, line {number}: {problem}. The line is damaged or was changed; nothing was overwritten. "
        "Remove the line, whose run is then done again, or give another folder."
        if number > 1
        else f"{path}, line 1: {problem}. The file doesn't begin as a benchmark's results do, or is from "
        "another version of raynas. Put a good copy there, or give another folder."
    )
