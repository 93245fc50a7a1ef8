"""A report on disk: report.html, report.md and the pictures, and a table in Parquet, in a new folder."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raynas.errors import UsageError
from raynas.report.document import Document
from raynas.report.html import to_html
from raynas.report.markdown import to_markdown

HTML, MARKDOWN, PICTURES = "report.html", "report.md", "pictures"


def check_is_new(folder: Path) -> None:
    """UsageError unless `folder` is empty or can become a folder."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file. Give a folder, or a path that does not exist yet.")
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty, and is left as it is. Give another --out.")


def write_report(folder: Path, document: Document, tables: dict[str, pa.Table]) -> list[Path]:
    """Writes all files and returns the paths of those to be opened, the HTML file first.

    Args:
        tables: by the name of their file, without '.parquet'.
    Raises:
        UsageError: the folder is not new, or can't be written.
    """
    check_is_new(folder)
    try:
        (folder / PICTURES).mkdir(parents=True)
        for picture in document.pictures:
            (folder / PICTURES / f"{picture.name}.svg").write_text(picture.svg, encoding="utf-8")
        (folder / MARKDOWN).write_text(to_markdown(document, pictures=PICTURES), encoding="utf-8")
        (folder / HTML).write_text(to_html(document), encoding="utf-8")
        for name, table in tables.items():
            pq.write_table(table, folder / f"{name}.parquet")
    except OSError as error:
        raise UsageError(f"{folder} can't be written: {error.strerror or error}.") from error
    return [folder / HTML, folder / MARKDOWN, *(folder / f"{name}.parquet" for name in tables)]
