"""MLflow stores, each a copy of an empty one, and made-up searches in them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from raynas.cells.space import SearchSpace, make_space
from raynas.child import NO_LIMITS, Child, ChildResult, EpochReport, LimitsConfig
from raynas.nn import Complexity
from raynas.run.events import Event
from raynas.run.run import Measure, Run
from raynas.strategies.strategy import make_strategy
from raynas.tracking import search_runs, writer
from raynas.tracking.config import TrackingConfig
from raynas.tracking.run_page import RunPage
from raynas.tracking.search_tracker import SearchTracker
from raynas.tracking.store import sqlite_uri
from raynas.tracking.writer import JobQueue


class EventList:
    """A journal in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        self.events.append(event)


@dataclass
class FakeSearch:
    """A search of four children, every fourth of which fails, and what MLflow has of it."""

    store: Path
    strategy: str = "random"
    num_children: int = 4
    options: dict[str, Any] = field(default_factory=dict)
    space: SearchSpace = field(default_factory=lambda: make_space("nasnet", num_blocks=2))
    measure: Measure = lambda genotype: Complexity(1200, 34000, 560)
    limits: LimitsConfig = NO_LIMITS
    journal: EventList = field(default_factory=EventList)
    config: dict[str, Any] = field(
        default_factory=lambda: {"space": {"name": "nasnet", "num_blocks": 2}, "seed": 0}
    )

    def page(self, **changes: Any) -> RunPage:
        page = RunPage(
            kind="search",
            run_id="run-1",
            folder=self.store.parent / "out",
            tracking=TrackingConfig(experiment="nas"),
            config=self.config,
        )
        return replace(page, **changes)

    def open(self, *, writer: JobQueue | None = None, **changes: Any) -> SearchTracker:
        return SearchTracker.open(self.page(**changes), space=self.space, writer=writer)

    def run(self, tracker: SearchTracker) -> Run:
        strategy = make_strategy(self.strategy, self.space, seed=0, **self.options)
        run = Run(
            self.space,
            strategy,
            num_children=self.num_children,
            journal=self.journal,  # type: ignore[arg-type]
            listeners=[tracker],
            measure=self.measure,
            limits=self.limits,
        )
        run.replay(list(self.journal.events))
        return run

    def finish(self, run: Run, count: int | None = None) -> None:
        """Hands out and finishes `count` children, or all that there are."""
        while count != 0 and (child := run.next_child()) is not None:
            run.finish(child.id, made_up_result(child))
            count = None if count is None else count - 1

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=sqlite_uri(self.store))

    def mlflow_runs(self, kind: str) -> list[MlflowRun]:
        experiment = self.client.get_experiment_by_name("nas")
        assert experiment is not None
        found = self.client.search_runs([experiment.experiment_id], f"tags.`raynas.kind` = '{kind}'")
        return sorted(found, key=lambda run: int(run.data.tags.get("raynas.child", 0)))

    @property
    def children(self) -> list[MlflowRun]:
        return self.mlflow_runs("child")

    @property
    def parent(self) -> MlflowRun:
        (parent,) = self.mlflow_runs("search")
        return parent

    def points(self, run: MlflowRun, key: str) -> list[tuple[int, float]]:
        history = self.client.get_metric_history(run.info.run_id, key)
        return sorted((point.step, point.value) for point in history)

    def artifact(self, run: MlflowRun, name: str) -> str:
        return Path(self.client.download_artifacts(run.info.run_id, name)).read_text()


def made_up_result(child: Child) -> ChildResult:
    if child.id % 4 == 3:
        return ChildResult(status="failed", accuracy=None, seconds=1.0, reason="CUDA out of memory")
    curve = tuple(
        EpochReport(epoch=epoch, accuracy=(epoch + child.id) / 10, train_loss=1 / epoch, seconds=float(epoch))
        for epoch in (1, 2, 3)
    )
    return ChildResult(
        status="stopped" if child.id % 4 == 2 else "completed",
        accuracy=curve[-1].accuracy,
        curve=curve,
        seconds=3.5,
    )


@pytest.fixture(autouse=True)
def _short_pauses_and_no_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(writer, "MAX_PAUSE_SECONDS", 0.01)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def by_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children are written as to a server, by MLflow's client, also into a SQLite file."""
    monkeypatch.setattr(search_runs, "child_transaction", lambda client, experiment: None)


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))


@pytest.fixture
def search(store: Path) -> FakeSearch:
    return FakeSearch(store)


@pytest.fixture
def finished_search(search: FakeSearch) -> FakeSearch:
    return finished(search)


@pytest.fixture(scope="session")
def read_only_search(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> FakeSearch:
    """A finished search that all tests share, and none changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return finished(
            FakeSearch(Path(shutil.copy(empty_store, tmp_path_factory.mktemp("one") / "mlflow.db")))
        )


def finished(search: FakeSearch) -> FakeSearch:
    tracker = search.open()
    search.finish(search.run(tracker))
    assert tracker.close("FINISHED") == 0
    return search
