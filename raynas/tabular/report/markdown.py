"""The content as Markdown; pictures are files beside it."""

from __future__ import annotations

from collections.abc import Sequence

from raynas.tabular.report.content import Block, Code, Grid, Picture, Section


def markdown(title: str, sections: Sequence[Section]) -> str:
    parts = [f"# {title}"]
    for section in sections:
        parts.append(f"## {section.title}")
        parts += map(_block, section.blocks)
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Grid):
        return _grid(block)
    if isinstance(block, Picture):
        return f"![{_escaped(block.caption)}]({block.name}.svg)\n\n{_escaped(block.caption)}"
    if isinstance(block, Code):
        return f"```\n{block.text}\n```"
    return _escaped(block)


def _grid(grid: Grid) -> str:
    rules = ["---:" if grid.is_number(place) else "---" for place in range(len(grid.columns))]
    rows = [grid.columns, rules, *(map(_escaped, row) for row in grid.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _escaped(text: str) -> str:
    for character in ("\\", "|", "*", "<", "`"):
        text = text.replace(character, f"\\{character}")
    return text
