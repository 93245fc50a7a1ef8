"""A document in GitHub's Markdown. Its pictures are separate files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from raynas.programs.report.document import Code, Document, Figure, Paragraph, Section, Table

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
        if isinstance(block, Paragraph):
            yield escaped(block.text)
        elif isinstance(block, Code):
            yield _code(block)
        elif isinstance(block, Table):
            yield _table(block)
            if block.caption:
                yield escaped(block.caption)
        else:
            yield _figure(block, pictures)


def _code(code: Code) -> str:
    # A fence must be longer than any run of backticks in the code.
    runs = re.findall("`+", code.text)
    fence = "`" * max(3, *(len(run) + 1 for run in runs)) if runs else "```"
    return f"{fence}\n{code.text}\n{fence}"


def _table(table: Table) -> str:
    numeric = table.numeric_columns
    dashes = ["---:" if index in numeric else "---" for index in range(len(table.columns))]
    header, *rows = [[escaped(cell) for cell in row] for row in (table.columns, *table.rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, dashes, *rows))


def _figure(figure: Figure, pictures: str) -> str:
    caption = escaped(figure.caption)
    return f"![{escaped(figure.title)}]({quote(f'{pictures}/{figure.name}.svg')})\n\n{caption}"
