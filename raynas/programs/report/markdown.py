"""A document in GitHub's Markdown. Its pictures are separate files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from raynas.programs.report.document import Code, Document, Picture, Section, Table, Text

_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>#|~"})


def to_markdown(document: Document, *, pictures: str) -> str:
    """The text of the whole file.

    Args:
        pictures: relative path of the folder that holds each picture as NAME.svg.
    """
    parts = [f"# {escaped(document.title)}", escaped(document.lead)]
    for section in document.sections:
        parts += _section(section, pictures)
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """`text` on one line, with every character escaped that Markdown would interpret."""
    return " ".join(text.split()).translate(_SPECIAL)


def _section(section: Section, pictures: str) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    for block in section.blocks:
        if isinstance(block, Text):
            yield escaped(block.text)
        elif isinstance(block, Code):
            yield _code(block)
        elif isinstance(block, Table):
            yield _table(block)
            if block.caption:
                yield escaped(block.caption)
        else:
            yield _picture(block, pictures)


def _code(code: Code) -> str:
    # A fence must be longer than any run of backticks in the code.
    runs = re.findall("`+", code.text)
    fence = "`" * max(3, *(len(run) + 1 for run in runs)) if runs else "```"
    return f"{fence}\n{code.text}\n{fence}"


def _table(table: Table) -> str:
    numeric = table.numeric_columns
    dashes = ["---:" if index in numeric else "---" for index in range(len(table.columns))]
    rows = [table.columns, tuple(dashes), *table.rows]
    return "\n".join(
        "| " + " | ".join(cell if row is rows[1] else escaped(cell) for cell in row) + " |" for row in rows
    )


def _picture(picture: Picture, pictures: str) -> str:
    caption = escaped(picture.caption)
    return f"![{escaped(picture.title)}]({quote(f'{pictures}/{picture.name}.svg')})\n\n{caption}"
