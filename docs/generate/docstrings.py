"""Indented code in docstrings, which reStructuredText would take for a quotation."""

from __future__ import annotations

from typing import Any

SECTIONS = ("Args:", "Returns:", "Raises:", "Source:", "Yields:", "Attributes:")


def mark_code(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Puts '::' before each block that is indented after a blank line; changes `lines` in place."""
    marked: list[str] = []
    is_in_section = is_in_code = False
    for line in lines:
        is_indented = line.startswith("    ")
        if line.strip() and not is_indented:
            is_in_section, is_in_code = line.strip() in SECTIONS, False
        follows_blank = not marked or not marked[-1].strip()
        if is_indented and follows_blank and not (is_in_section or is_in_code):
            marked += ["::", ""]
            is_in_code = True
        marked.append(line)
    lines[:] = marked
