"""A document as one HTML file that needs nothing else: pictures are embedded, and there are no scripts and no
outside links. The page itself is in report.html.jinja.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from raynas.programs.report.document import Document, Element

TEMPLATE = "report.html.jinja"


def to_html(document: Document) -> str:
    """The text of the whole file."""
    environment = Environment(
        loader=PackageLoader("raynas.programs.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"base64": _base64, "by_kind": _by_kind, "with_breaks": _with_breaks}
    return environment.get_template(TEMPLATE).render(document=document)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _by_kind(blocks: Sequence[Element]) -> Iterator[tuple[str, Iterator[Element]]]:
    """Neighbouring blocks of one class, with the name of the class."""
    return itertools.groupby(blocks, key=lambda block: type(block).__name__)


def _with_breaks(name: str) -> Markup:
    """`name`, escaped, with places where a narrow page may break it."""
    return escape(name).replace(".", Markup(".<wbr>")).replace("_", Markup("_<wbr>"))
