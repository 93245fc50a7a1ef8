"""A project that has a folder search_spaces of its own, beside which Python is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import raynas

CHECKOUT = Path(raynas.__file__).parents[1]
FIND = "from raynas.cells.space import SPACES; print(SPACES.find('darts').__module__, end=' ');"


def output_of(code: str, folder: Path) -> str:
    """What Python prints, started in `folder`; the checkout comes last on its path."""
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(CHECKOUT)!r}); {code}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("files", "code", "printed"),
    [
        (
            {"__init__.py": "", "mine.py": "VALUE = 3"},
            f"{FIND} from search_spaces.mine import VALUE; print(VALUE)",
            "darts 3",
        ),
        (
            {"__init__.py": "", "mine.py": "VALUE = 3"},
            f"from search_spaces.mine import VALUE; {FIND} print(VALUE)",
            "darts 3",
        ),
        ({"darts.py": "", "__init__.py": ""}, f"import search_spaces.darts; {FIND}", "Rename your file"),
    ],
    ids=["before", "after", "a file of the same name"],
)
def test_it_hides_no_registered_space_and_stays_importable(files, code, printed, tmp_path):
    (tmp_path / "search_spaces").mkdir()
    for name, text in files.items():
        (tmp_path / "search_spaces" / name).write_text(text)
    assert printed in output_of(code, tmp_path)


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        (FIND, "search_spaces.darts"),
        (f"from search_spaces import VALUE; {FIND} print(VALUE)", "search_spaces.darts 3"),
    ],
    ids=["before", "after"],
)
def test_a_module_of_that_name_hides_none_either(code, printed, tmp_path):
    (tmp_path / "search_spaces.py").write_text("VALUE = 3")
    assert output_of(code, tmp_path).strip() == printed


def test_a_folder_of_that_name_without_any_python_hides_none(tmp_path):
    (tmp_path / "search_spaces").mkdir()
    code = "from raynas.cells.published import published_cells; print(len(published_cells()) > 5)"
    assert output_of(code, tmp_path).strip() == "True"
