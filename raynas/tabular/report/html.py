"""The content as one HTML file: pictures and styles are in it, and nothing is fetched."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from raynas.tabular.report.content import Block, Code, Grid, Picture, Section

STYLE = """
body { font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1a1a1a; background: #fff;
  max-width: 60rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 1.2rem 0 .6rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-bottom: .2rem; border-bottom: 1px solid #dedede; }
p { margin: .6rem 0; max-width: 46rem; }
.wide { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .3rem .9rem .3rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { border-bottom: 1px solid #1a1a1a; font-weight: 600; vertical-align: bottom; overflow-wrap: normal; }
tr + tr td { border-top: 1px solid #ececec; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td:first-child { white-space: nowrap; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption { color: #4d4d4d; font-size: .9rem; max-width: 46rem; }
pre { background: #f6f6f6; border: 1px solid #dedede; padding: .6rem .8rem; font-size: .85rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
""".strip()


def html(title: str, sections: Sequence[Section]) -> str:
    parts = [f"<h1>{escape(title)}</h1>"]
    for section in sections:
        parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += map(_block, section.blocks)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}\n</style>"
    )
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{body}\n</body>\n</html>\n'


def _block(block: Block) -> str:
    if isinstance(block, Grid):
        return _grid(block)
    if isinstance(block, Picture):
        source = f"data:image/svg+xml;base64,{base64.b64encode(block.svg).decode()}"
        caption = escape(block.caption)
        return f'<figure><img alt="{caption}" src="{source}"><figcaption>{caption}</figcaption></figure>'
    if isinstance(block, Code):
        return f"<pre>{escape(block.text)}</pre>"
    return f"<p>{escape(block)}</p>"


def _grid(grid: Grid) -> str:
    rows = [_row("th", grid, grid.columns), *(_row("td", grid, row) for row in grid.rows)]
    lines = "\n".join(rows)
    return f'<div class="wide"><table>\n{lines}\n</table></div>'


def _row(tag: str, grid: Grid, texts: Sequence[str]) -> str:
    cells = []
    for place, text in enumerate(texts):
        kind = ' class="number"' if grid.is_number(place) else ""
        cells.append(f"<{tag}{kind}>{escape(text)}</{tag}>")
    return f"<tr>{''.join(cells)}</tr>"
