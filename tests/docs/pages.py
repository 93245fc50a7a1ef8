"""README and the pages of docs/, and the code blocks in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATHS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in PATHS}


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a language on a page, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.S | re.M)


def block_with(page: str, words: str, language: str = "python") -> str:
    """The first code block of a language that holds these words."""
    return next(block for block in blocks(page, language) if words in block)


def commands(page: str) -> list[str]:
    """The raynas commands in the bash blocks of a page, without the program's name."""
    lines = "\n".join(blocks(page, "bash"))
    return re.findall(r"^\.venv/bin/raynas ((?:[^\\\n]|\\\n)*)$", lines, re.M)
