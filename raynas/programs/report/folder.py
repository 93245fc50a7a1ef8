"""A report on disk: report.html, report.md, a folder of pictures, and tables in Parquet files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raynas.errors import UsageError
from raynas.programs.report.document import Document
from raynas.programs.report.html import to_html
from raynas.programs.report.markdown import to_markdown

HTML_FILE = "report.html"
MARKDOWN_FILE = "report.md"
PICTURES_FOLDER = "pictures"


def new_folder(folder: Path) -> None:
    """Creates `folder`, or accepts an empty one. Call it before the work whose results the report will hold.

    Raises:
        UsageError: the folder can't be created, or is not empty.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except FileExistsError:
        raise UsageError(
            f"{folder} is a file. A report needs a folder that is empty or does not exist yet."
        ) from None
    except OSError as error:
        raise UsageError(f"{folder} can't be written: {error.strerror}. Choose another folder.") from error
    if not is_empty:
        raise UsageError(f"{folder} is not empty, and is left as it is. Choose another folder.")


def remove_report(folder: Path, tables: Iterable[str]) -> None:
    """Removes what `write_report` writes, whole or in part, and nothing else.

    Args:
        tables: names of the tables, without '.parquet'.
    Raises:
        UsageError: a file can't be removed.
    """
    names = [HTML_FILE, MARKDOWN_FILE, *(f"{name}.parquet" for name in tables)]
    pictures = folder / PICTURES_FOLDER
    try:
        for path in (*(folder / name for name in names), *pictures.glob("*.svg")):
            path.unlink(missing_ok=True)
        if pictures.is_dir():
            pictures.rmdir()
    except OSError as error:
        raise UsageError(
            f"The earlier report in {folder} can't be removed: {error.filename}: {error.strerror}."
        ) from error


def write_report(folder: Path, document: Document, tables: dict[str, pa.Table]) -> list[Path]:
    """Writes all files of a report.

    Args:
        folder: an empty folder, as `new_folder` leaves it.
        tables: each by the name of its file, without '.parquet'.
    Returns:
        Paths of the HTML file, the Markdown file and the tables, in this order.
    Raises:
        UsageError: the folder can't be written.
    """
    try:
        (folder / PICTURES_FOLDER).mkdir()
        for figure in document.figures:
            (folder / PICTURES_FOLDER / f"{figure.name}.svg").write_text(figure.svg, encoding="utf-8")
        for name, table in tables.items():
            # Arrow refuses paths that are not valid Unicode, but writes into an open file.
            with (folder / f"{name}.parquet").open("xb") as file:
                pq.write_table(table, file)
        # The HTML file comes last: a folder that has it has a whole report.
        for name, text in (
            (MARKDOWN_FILE, to_markdown(document, pictures=PICTURES_FOLDER)),
            (HTML_FILE, to_html(document)),
        ):
            # A command or the name of a folder may hold bytes that are not valid Unicode.
            (folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"{folder} can't be written: {error.strerror or error}.") from error
    return [folder / HTML_FILE, folder / MARKDOWN_FILE, *(folder / f"{name}.parquet" for name in tables)]
