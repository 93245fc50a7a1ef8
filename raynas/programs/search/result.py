"""What a search or a promotion returns: its leaderboard, its best cell, and both as pandas tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raynas.cells.genotype import Genotype
from raynas.cells.space import Decision
from raynas.config import flattened
from raynas.files import JOURNAL_FILE
from raynas.programs.search.config import SearchConfig
from raynas.run.html_table import html_table
from raynas.run.leaderboard import Leaderboard, LeaderboardEntry
from raynas.run.records import ChildRecord

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, kw_only=True, repr=False)
class SearchResult:
    """The outcome of a finished search or promotion."""

    leaderboard: Leaderboard
    """The children, best first; those without a reward come last."""
    best: Genotype
    """The cells of the first entry of the leaderboard."""
    config: SearchConfig
    """All settings of the run."""
    run_folder: Path
    """Folder with the journal, best_genotype.json and best_cell.svg."""
    mlflow_run_id: str | None
    """Parent run in MLflow; None means that tracking is switched off, here and below."""
    mlflow_uri: str | None
    """MLflow's store, without credentials."""
    records: list[ChildRecord]
    """Every proposal in order, also those that were refused because they exceed a limit."""
    decisions: tuple[Decision, ...]
    """The decisions of the search space, in the order of a proposal's actions."""
    epoch_seconds: float | None = None
    """Mean time of a child's epoch on its worker; None if no child was trained."""
    hypervolume: float | None = None
    """Hypervolume below the Pareto front, in [0, 1]; None if the reward keeps no front."""

    @property
    def journal_path(self) -> Path:
        return self.run_folder / JOURNAL_FILE

    @property
    def num_infeasible(self) -> int:
        """Number of proposals that were refused because they exceed a limit."""
        return sum(record.is_infeasible for record in self.records)

    def __repr__(self) -> str:
        lines = [f"  {f'{name}:':<9} {value}\n" for name, value in self._facts().items()]
        return f"SearchResult(\n{''.join(lines)})"

    def _repr_html_(self) -> str:
        """For notebooks: what `repr` says, the best children, and the best cell."""
        facts = html_table(("search", ""), self._facts().items())
        return f"{facts}{self.leaderboard.to_html(top=10)}{self.best._repr_svg_()}"

    def _facts(self) -> dict[str, str]:
        best, refused = self.leaderboard[0], self.num_infeasible
        children = f"{len(self.leaderboard)}" + (f", and {refused} infeasible proposals" if refused else "")
        tracked = f"run {self.mlflow_run_id} at {self.mlflow_uri}" if self.mlflow_run_id else "switched off"
        return {
            "folder": f"{self.run_folder}",
            "best": f"{best.arch_id}, accuracy {best.accuracy:.4f}",
            "children": children,
            "MLflow": tracked,
        }

    def to_dataframe(self) -> pandas.DataFrame:
        """The leaderboard as a table: one row per child, best first, so that tables of runs can be joined.

        Columns are the fields of LeaderboardEntry, and then one column per setting of the run, with its
        dotted name, such as 'network.filters'.
        """
        import pandas

        settings = flattened(self.config.model_dump(mode="json"))
        rows = [entry.model_dump() | settings for entry in self.leaderboard]
        return pandas.DataFrame(rows, columns=[*LeaderboardEntry.model_fields, *settings])

    def records_dataframe(self) -> pandas.DataFrame:
        """Every proposal as a table: one row per proposal in order, one column per decision of the space.

        A decision's column has its name, such as 'normal.0.op_a', and holds what was chosen.
        """
        import pandas

        return pandas.DataFrame([self._row(record) for record in self.records])

    def _row(self, record: ChildRecord) -> dict[str, Any]:
        proposed, result = record.proposed, record.result
        row = {
            "child": record.id,
            "arch_id": proposed.arch_id,
            "status": result.status if result else "unfinished",
            "reward": record.reward,
            "accuracy": result.accuracy if result else None,
            "parameters": proposed.parameters,
            "mult_adds": proposed.mult_adds,
            "activations": proposed.activations,
            "latency_ms": result.latency_ms if result else None,
            "seconds": result.seconds if result else None,
            "reason": result.reason if result else "",
        }
        choices = {
            decision.name: decision.choices[action]
            for decision, action in zip(self.decisions, proposed.actions, strict=True)
        }
        return row | choices


def mean_epoch_seconds(records: Iterable[ChildRecord]) -> float | None:
    """Mean time of an epoch, validation included, of the children that this run trained itself."""
    last = [
        record.result.curve[-1]
        for record in records
        if record.result and record.result.curve and not (record.finished and record.finished.is_reused)
    ]
    return sum(report.seconds / report.epoch for report in last) / len(last) if last else None
