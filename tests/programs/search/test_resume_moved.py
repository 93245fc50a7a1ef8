"""A search and its images that lie elsewhere when it is resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.data import load_split
from raynas.files import JOURNAL_FILE
from raynas.programs.search.recipes import search_config
from raynas.run.events import Started
from raynas.run.journal import Journal
from raynas.run.run import Run
from tests.run.builders import completed


def write_images(folder: Path, *, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with images and a run of them, whose config names the images by their absolute path."""
    place = tmp_path / "place"
    settings = {
        "data": {"source": str(write_images(place / "images"))},
        "strategy": {"name": "random"},
        "children": 2,
        "tracking": {"enabled": False},
    }
    config = search_config("small", settings)
    digest = load_split(config.data, seed=config.seed).digest()
    started = Started(run_id="r", raynas="0", time=1.0, config=config.model_dump(mode="json"), images=digest)
    space = config.make_space()
    with Journal.create(place / "runs" / "one" / JOURNAL_FILE, started) as journal:
        run = Run(space, config.make_strategy(space), num_children=2, journal=journal)
        while (child := run.next_child()) is not None:
            run.finish(child.id, completed(0.25))
    return place


def resume(place: Path, *words: object) -> tuple[int, str]:
    words = ("search", "--out", place / "runs" / "one", "--resume", *words)
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, " ".join(result.output.split())


def test_s3_a_run_that_moved_with_its_images_is_resumed_on_them(place, tmp_path):
    there = place.rename(tmp_path / "there ü")
    assert resume(there)[0] == 2
    code, output = resume(there, "--data", there / "images")
    assert code == 0, output
    assert "Leaderboard" in output


def test_s3_other_images_at_the_new_place_are_refused(place, tmp_path):
    before = (place / "runs" / "one" / JOURNAL_FILE).read_bytes()
    code, output = resume(place, "--data", write_images(tmp_path / "others", seed=1))
    assert code == 2
    assert "was started on other images" in output
    assert (place / "runs" / "one" / JOURNAL_FILE).read_bytes() == before


def test_s3_of_a_journal_without_a_digest_the_images_stay_where_they_are(place):
    journal = place / "runs" / "one" / JOURNAL_FILE
    first, rest = journal.read_text().split("\n", 1)
    started = Started.model_validate_json(first).model_copy(update={"images": None})
    journal.write_text(f"{started.model_dump_json()}\n{rest}")
    place = place.rename(place.with_name("there"))
    code, output = resume(place, "--data", place / "images")
    assert code == 2
    assert "--data" in output and "data.source" not in output
