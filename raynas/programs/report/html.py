"""A document as one HTML file that needs nothing else: pictures are embedded, there is no script and no link
to anywhere.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from html import escape

from raynas.programs.report.document import Block, Code, Document, Picture, Section, Table

FACT_COLUMNS = 2
STYLE = """\
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1.5rem 4rem; background: #fff; color: #1d2433;
  font: 1rem/1.55 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; overflow-wrap: break-word; }
h1 { margin: 1rem 0 .4rem; font-size: 1.75rem; line-height: 1.2; }
h2 { margin: 3rem 0 .8rem; padding-bottom: .3rem; border-bottom: 1px solid #d9dee7; font-size: 1.25rem; }
p { max-width: 46rem; margin: .7rem 0; }
pre { margin: .7rem 0; padding: .6rem .8rem; background: #f5f6f9; border: 1px solid #e6e9f0;
  font-size: .88rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.lead { font-size: 1.1rem; color: #3b465c; }
nav { margin: 1.2rem 0 0; font-size: .92rem; }
nav a { display: inline-block; margin: 0 1.1rem .3rem 0; color: #2a5d9f; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr));
  gap: 1.6rem 2rem; margin: 1.2rem 0; align-items: start; }
figure { margin: 0; min-width: 0; }
figure.wide { grid-column: 1 / -1; }
figure img { display: block; width: 100%; height: auto; }
figure.wide img { width: auto; max-width: 100%; }
@media (max-width: 60rem) { figure.wide img { max-width: none; }
  figure.wide figcaption::after { content: " Scroll sideways to see all of it."; } }
figcaption { max-width: 46rem; margin-top: .5rem; color: #596579; font-size: .88rem; line-height: 1.45; }
.scroll { max-width: 100%; overflow-x: auto; background: linear-gradient(90deg, #fff 30%, #fff0) 0 0,
  linear-gradient(270deg, #fff 30%, #fff0) 100% 0, linear-gradient(90deg, #1d243326, #1d243300) 0 0,
  linear-gradient(270deg, #1d243326, #1d243300) 100% 0; background-repeat: no-repeat;
  background-size: 3rem 100%, 3rem 100%, .8rem 100%, .8rem 100%;
  background-attachment: local, local, scroll, scroll; }
table { border-collapse: collapse; margin: 1rem 0 .4rem; font-size: .92rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .32rem 1.4rem .32rem 0; border-bottom: 1px solid #e6e9f0; text-align: left;
  vertical-align: top; }
th { color: #596579; font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
td { min-width: 3rem; max-width: 40rem; }
table.facts td { overflow-wrap: anywhere; }
table.facts td:first-child { overflow-wrap: break-word; }
p.caption { margin-top: .5rem; color: #596579; font-size: .88rem; line-height: 1.45; }
summary { margin-top: 3rem; padding-bottom: .3rem; border-bottom: 1px solid #d9dee7; font-size: 1.25rem;
  font-weight: 700; cursor: pointer; }
@media print { details { display: block; } .scroll { overflow: visible; } }
"""


def to_html(document: Document) -> str:
    """The whole file."""
    title = escape(document.title)
    numbered = list(enumerate(document.sections, start=1))
    links = "\n".join(
        f'<a href="#section-{number}">{escape(section.title)}</a>' for number, section in numbered
    )
    sections = "\n".join(part for number, section in numbered for part in _section(number, section))
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<p class="lead">{escape(document.lead)}</p>
<nav>
{links}
</nav>
{sections}
</body>
</html>
"""


def _section(number: int, section: Section) -> Iterator[str]:
    title = escape(section.title)
    if section.is_folded:
        yield f'<details id="section-{number}"><summary>{title}</summary>'
    else:
        yield f'<section id="section-{number}"><h2>{title}</h2>'
    pictures: list[Picture] = []
    for block in section.blocks:
        if isinstance(block, Picture):
            pictures.append(block)
            continue
        yield from _pictures(pictures)
        pictures = []
        yield _block(block)
    yield from _pictures(pictures)
    yield "</details>" if section.is_folded else "</section>"


def _block(block: Block) -> str:
    if isinstance(block, Picture):
        return _picture(block)
    if isinstance(block, Table):
        return _table(block)
    tag = "pre" if isinstance(block, Code) else "p"
    return f"<{tag}>{escape(block.text)}</{tag}>"


def _pictures(pictures: Sequence[Picture]) -> Iterator[str]:
    """Those that follow each other stand side by side where there is room."""
    if pictures:
        yield '<div class="pictures">'
        yield from map(_picture, pictures)
        yield "</div>"


def _picture(picture: Picture) -> str:
    # As an image, and not inline: the ids of two pictures don't meet, and nothing in one is run.
    data = base64.b64encode(picture.svg.encode()).decode()
    caption = escape(picture.caption)
    image = f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(picture.title)}">'
    if picture.is_wide:
        image = f'<div class="scroll">{image}</div>'
    kind = ' class="wide"' if picture.is_wide else ""
    return f"<figure{kind}>{image}<figcaption>{caption}</figcaption></figure>"


def _table(table: Table) -> str:
    classes = [' class="number"' if table.is_numeric(index) else "" for index in range(len(table.columns))]
    # Two columns fit any screen if long words may break.
    is_facts = len(table.columns) == FACT_COLUMNS
    kind = ' class="facts"' if is_facts else ""
    lines = [f'<div class="scroll"><table{kind}>']
    if any(table.columns):
        names = zip(classes, table.columns, strict=True)
        lines.append("<tr>" + "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in names) + "</tr>")
    for row in table.rows:
        cells = [escape(cell) for cell in row]
        if is_facts:
            cells[0] = _breakable(cells[0])
        marked = zip(classes, cells, strict=True)
        lines.append("<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in marked) + "</tr>")
    lines.append("</table></div>")
    if table.caption:
        lines.append(f'<p class="caption">{escape(table.caption)}</p>')
    return "\n".join(lines)


def _breakable(name: str) -> str:
    """`name`, escaped, with places where a narrow page may break it."""
    return re.sub(r"([._])", r"\1<wbr>", name)
