"""A report on disk: report.html, report.md and the pictures, and a table in Parquet, in a new folder."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raynas.errors import UsageError
from raynas.programs.report.document import Document
from raynas.programs.report.html import to_html
from raynas.programs.report.markdown import to_markdown

HTML, MARKDOWN, PICTURES = "report.html", "report.md", "pictures"


def new_folder(folder: Path, option: str) -> None:
    """Makes `folder`, before there is anything to write: what is written takes long to find out.

    Args:
        option: that it was given with.
    Raises:
        UsageError: it can't be written, or there is something in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except FileExistsError:
        raise UsageError(
            f"{option} {folder} is a file. Give a folder, or a path that does not exist yet."
        ) from None
    except OSError as error:
        raise UsageError(f"{folder} can't be written: {error.strerror}. Give another {option}.") from error
    if not is_empty:
        raise UsageError(f"{folder} is not empty, and is left as it is. Give another {option}.")


def write_report(folder: Path, document: Document, tables: dict[str, pa.Table]) -> list[Path]:
    """Writes all files and returns the paths of those to be opened, the HTML file first.

    Args:
        folder: as `new_folder` leaves it.
        tables: by the name of their file, without '.parquet'.
    Raises:
        UsageError: the folder can't be written.
    """
    try:
        (folder / PICTURES).mkdir()
        for picture in document.pictures:
            (folder / PICTURES / f"{picture.name}.svg").write_text(picture.svg, encoding="utf-8")
        for name, text in ((MARKDOWN, to_markdown(document, pictures=PICTURES)), (HTML, to_html(document))):
            # What stands in a command or a folder's name may be bytes that are no text.
            (folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")
        for name, table in tables.items():
            # Opened here: Arrow takes no path that is no text.
            with (folder / f"{name}.parquet").open("xb") as file:
                pq.write_table(table, file)
    except OSError as error:
        raise UsageError(f"{folder} can't be written: {error.strerror or error}.") from error
    return [folder / HTML, folder / MARKDOWN, *(folder / f"{name}.parquet" for name in tables)]
