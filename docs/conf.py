"""Sphinx's configuration; `make docs` builds the site into build/docs."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from generate.api import api_page  # noqa: E402
from generate.commands import commands_page  # noqa: E402
from generate.docstrings import mark_code  # noqa: E402
from generate.settings import settings_page  # noqa: E402

project = "raynas"
author = "The raynas contributors"
release = version = installed("raynas")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["requirements.txt"]
default_role = "code"
highlight_language = "text"
templates_path = ["_templates"]
html_sidebars = {"**": ["site-nav"]}
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
napoleon_custom_sections = [("Source", "notes_style")]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
html_theme = "pydata_sphinx_theme"
html_title = "raynas"
html_static_path = ["_static"]
html_css_files = ["raynas.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_center": [],
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
}

GENERATED = {"settings.md": settings_page, "commands.md": commands_page, "api.md": api_page}


def write_generated(app: Any) -> None:
    """Writes the generated pages; one that hasn't changed keeps its time, so that it isn't built again."""
    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    for name, page in GENERATED.items():
        path, text = folder / name, page()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def setup(app: Any) -> None:
    """Connects the generated pages and the code in docstrings."""
    app.connect("builder-inited", write_generated)
    # Before napoleon, which has the priority 500.
    app.connect("autodoc-process-docstring", mark_code, priority=400)
