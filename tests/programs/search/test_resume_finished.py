"""The resume of a run whose children are all done starts no Ray."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.files import JOURNAL_FILE
from raynas.programs.search.recipes import search_config
from raynas.run.events import Started
from raynas.run.journal import Journal, read_events
from raynas.run.records import records_of
from raynas.run.run import Run
from tests.run.builders import completed


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """A run with four children that are done, and one that was interrupted."""
    settings = {"strategy": {"name": "random"}, "children": 4, "tracking": {"enabled": False}}
    config = search_config("small", settings)
    started = Started(run_id="r", raynas="0", time=1.0, config=config.model_dump(mode="json"))
    space = config.make_space()
    with Journal.create(tmp_path / "done" / JOURNAL_FILE, started) as journal:
        run = Run(space, config.make_strategy(space), num_children=5, journal=journal)
        children = [run.next_child() for _ in range(5)]
        for child in children[:4]:
            run.finish(child.id, completed(0.25))
    return tmp_path / "done"


@pytest.mark.parametrize("options", [[], ["--children", "4"], ["--children", "2"], ["--children", "1"]])
def test_s9_a_finished_run_is_resumed_without_ray_and_shows_its_leaderboard(done, monkeypatch, options):
    for name in ("connected", "ChildPool", "tune_run"):
        monkeypatch.setattr(f"raynas.programs.search.execute.{name}", lambda *_, **__: pytest.fail("Ray"))
    before = records_of(read_events(done / JOURNAL_FILE))
    result = CliRunner().invoke(app, ["search", "--out", str(done), "--resume", *options])
    assert result.exit_code == 0, result.output
    asked = options[1] if options else "4"
    assert f"4 children are done, and children = {asked}: nothing is trained" in " ".join(
        result.output.split()
    )
    assert "Leaderboard" in result.output
    assert "Starting the workers" not in result.output
    assert (done / "best_cell.svg").is_file()
    assert records_of(read_events(done / JOURNAL_FILE)) == before


def test_s9_a_run_that_has_children_to_come_starts_ray(done, monkeypatch):
    def start(address: object, **_: object) -> None:
        raise RuntimeError("Ray was started")

    monkeypatch.setattr("raynas.programs.search.execute.connected", start)
    result = CliRunner().invoke(app, ["search", "--out", str(done), "--resume", "--children", "5"])
    assert "Starting the workers" in result.output
    assert "Ray was started" in f"{result.output} {result.exception}"
