"""`raynas launchers` and `raynas submit`: found in a checkout and in an installed raynas."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import submit
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.cli.terminal import launchers
from raynas.errors import UsageError

LAUNCHERS = Path(__file__).parents[2] / "launchers"


def call(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): (folder / file).read_bytes() for file in launchers.launcher_files(folder)}


@pytest.fixture
def submitted(monkeypatch) -> list[tuple[str, str]]:
    """Addresses and entrypoints of what would have been submitted; nothing is."""
    found: list[tuple[str, str]] = []

    def record(options, entrypoint, environment):
        found.append((options.address, entrypoint))
        return 1

    monkeypatch.setattr(submit, "run", record)
    monkeypatch.setattr(signal, "signal", lambda *arguments: None)
    return found


def test_the_launchers_are_listed_and_copied_whole(tmp_path):
    code, output = call("launchers")
    assert code == 0 and str(LAUNCHERS / "slurm" / "raynas.sbatch") in output.replace("\n", "")
    assert call("launchers", "--copy", str(tmp_path / "new" / "copy"))[0] == 0
    assert contents(tmp_path / "new" / "copy") == contents(LAUNCHERS)
    assert "submit.py" in contents(LAUNCHERS)


def test_what_lies_in_the_target_is_kept_and_nothing_is_copied(tmp_path):
    (tmp_path / "submit.py").write_text("mine")
    code, output = call("launchers", "--copy", str(tmp_path))
    assert code == 2 and "is not empty, and is left as it is" in output.replace("\n", " ")
    assert [path.name for path in tmp_path.iterdir()] == ["submit.py"]
    assert (tmp_path / "submit.py").read_text() == "mine"


def test_a_target_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    code, output = call("launchers", "--copy", str(tmp_path / "file"))
    assert code == 2 and "can't be written" in output.replace("\n", " ")


def test_those_in_the_package_come_first_and_none_at_all_is_a_message(monkeypatch, tmp_path):
    installed = tmp_path / "raynas" / "launchers"
    monkeypatch.setattr(launchers, "_IN_A_WHEEL", installed)
    assert launchers.launchers_folder() == LAUNCHERS
    shutil.copytree(LAUNCHERS, installed)
    assert launchers.launchers_folder() == installed
    shutil.rmtree(installed)
    monkeypatch.setattr(launchers, "_IN_A_CHECKOUT", tmp_path)
    with pytest.raises(UsageError, match="Install raynas's wheel"):
        launchers.launchers_folder()


def test_submit_takes_the_words_and_gives_the_exit_code_of_the_program(submitted):
    words = ["--address", "http://127.0.0.1:9", "--", "search", "--children", "2", "--out", "/runs/one"]
    assert call("submit", *words)[0] == 1
    expected = "python -m raynas search --children 2 --out /runs/one"
    assert submitted == [("http://127.0.0.1:9", expected)]


def test_submit_refuses_as_the_program_does(submitted):
    code, output = call("submit", "--", "search", "--out", "runs/one")
    assert code == 2 and "--out with an absolute path" in output.replace("\n", " ")
    assert call("submit")[0] == 2
    assert submitted == []


def test_help_of_submit_is_the_programs_own():
    code, output = call("submit", "--help")
    assert code == 0 and "usage: raynas submit" in output and "--patience" in output


def test_a_copy_in_no_checkout_uploads_nothing_unless_asked(tmp_path):
    """The folder around the copy may be anything, such as somebody's home."""
    copy = tmp_path / "copy"
    shutil.copytree(LAUNCHERS, copy)
    code = (
        "import submit; print(submit.CHECKOUT, *submit.runtime_env(submit.parse(['--', 'spaces'])));"
        f"print(*submit.runtime_env(submit.parse(['--working-dir', {str(tmp_path)!r}, '--', 'spaces'])))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["None env_vars", "env_vars working_dir excludes"]
