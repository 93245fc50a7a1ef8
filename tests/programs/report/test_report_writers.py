"""HTML and Markdown: all is in them, nothing is markup that was text, nothing comes from elsewhere."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raynas.errors import UsageError
from raynas.programs.report.document import Code, Document, Figure, Paragraph, Section, Table, facts
from raynas.programs.report.folder import new_folder, write_report
from raynas.programs.report.html import to_html
from raynas.programs.report.markdown import to_markdown

NASTY = "<script>alert('1')</script> | `code` *bold* [link](http://x) & \"quoted\"\nsecond line"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><title>&lt;</title></svg>'
DOCUMENT = Document(
    title=NASTY,
    lead=NASTY,
    sections=(
        Section(
            NASTY,
            (
                Paragraph(NASTY),
                Table(("name", "count"), ((NASTY, "1,234"), ("b", "5.5 +- 0.1")), NASTY),
                Figure("a-chart", SVG, NASTY),
                Figure("a-cell", SVG, NASTY, is_wide=True),
            ),
        ),
        Section("Folded", (facts([("key", "value")]),), is_folded=True),
    ),
)
VOID = {"meta", "img", "wbr"}


class Reader(HTMLParser):
    """Keeps the text and the tags; fails on a tag that is not closed in its turn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.attributes, self.open = "", [], []
        self.tags: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_says_every_text_as_text_and_closes_its_tags():
    page = Reader(to_html(DOCUMENT))
    assert page.text.count(NASTY) == 10
    assert "script" not in page.tags
    assert (page.tags.count("img"), page.tags.count("table"), page.tags.count("details")) == (2, 2, 1)


def test_html_needs_nothing_from_elsewhere():
    page = Reader(to_html(DOCUMENT))
    links = [value for name, value in page.attributes if name in ("src", "href")]
    assert all(link.startswith(("#section-", "data:image/svg+xml;base64,")) for link in links)
    pictures = [link.partition(",")[2] for link in links if link.startswith("data:")]
    assert [base64.b64decode(picture).decode() for picture in pictures] == [SVG, SVG]
    assert "url(" not in to_html(DOCUMENT)


def test_the_links_on_top_lead_to_the_sections():
    page = Reader(to_html(DOCUMENT))
    ids = [value for name, value in page.attributes if name == "id"]
    targets = [value[1:] for name, value in page.attributes if name == "href"]
    assert ids == targets == ["section-1", "section-2"]


def test_markdown_has_a_line_per_row_and_no_markup_that_was_text():
    lines = to_markdown(DOCUMENT, pictures="pictures").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in table] == [3] * 7
    assert table[1] == "| --- | ---: |"
    assert "![A chart](pictures/a-chart.svg)" in lines
    text = "\n".join(lines)
    assert "<script" not in re.sub(r"\\.", "", text)
    assert not re.search(r"(?<!\\)[`*]", text)


@pytest.mark.parametrize(
    ("cells", "is_numeric"),
    [
        (["1", "", "-2.5"], True),
        (["1,234,567", "95.4 %", "7 min"], True),
        (["0.5 +- 0.1"], True),
        (["0.9385 to 0.9400", "-", "< 0.0001"], True),
        (["-"], False),
        (["12ab04c0659d", "123456789012"], False),
        (["2026-11-25"], False),
        (["yes"], False),
        ([""], False),
    ],
)
def test_columns_of_numbers_are_told_from_others(cells, is_numeric):
    table = Table(("x",), tuple((cell,) for cell in cells))
    assert table.numeric_columns == ({0} if is_numeric else set())


def test_code_is_shown_as_it_is_whatever_stands_in_it():
    text = "echo ```` <b>*x*</b>\n  second"
    document = Document("t", "l", (Section("s", (Code(text),)),))
    assert f"\n`````\n{text}\n`````\n" in to_markdown(document, pictures="p")
    page = Reader(to_html(document))
    assert text in page.text
    assert page.tags.count("pre") == 1 and "b" not in page.tags


def test_a_report_is_written_into_a_new_or_empty_folder_alone(tmp_path):
    folder = tmp_path / "new" / "deep"
    new_folder(folder)
    written = write_report(folder, DOCUMENT, {})
    assert [path.name for path in written] == ["report.html", "report.md"]
    assert (folder / "pictures" / "a-cell.svg").read_text() == SVG
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="deep can't be written"):
        write_report(folder, DOCUMENT, {})
    (tmp_path / "file").touch()
    refusals = (
        ("new/deep", "is not empty, and is left as it is. Choose another folder"),
        ("file", "file is a file. A report needs a folder that is empty"),
        ("file/below", "can't be written: Not a directory. Choose another folder"),
    )
    for name, message in refusals:
        with pytest.raises(UsageError, match=message):
            new_folder(tmp_path / name)
    assert {path: path.read_bytes() for path in before} == before


def test_bytes_that_are_no_text_are_written_readably(tmp_path):
    folder = tmp_path / "caf\udce9"
    new_folder(folder)
    table = pa.table({"x": [1]})
    html, markdown, rows = write_report(folder, Document("caf\udce9", "l", ()), {"rows": table})
    assert pq.read_table(rows.open("rb")) == table
    assert "<h1>caf\\udce9</h1>" in html.read_text()
    assert "# caf\\udce9" in markdown.read_text()
