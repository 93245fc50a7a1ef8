"""The page of the public names, each with its docstring."""

from __future__ import annotations

import inspect

import raynas

HEAD = """# Python

These are the names that `import raynas` gives; `help(raynas.NAME)` shows the same. This page is generated.

"""
TESTING = ("check_space", "check_strategy", "check_reward")
"""The contract checks for classes of one's own, in raynas.testing."""


def api_page() -> str:
    """The page in Markdown, with directives of Sphinx's autodoc."""
    parts: dict[str, list[str]] = {"Functions": [], "Classes": [], "Errors": []}
    for name in vars(raynas)["__all__"]:
        thing = getattr(raynas, name)
        if not inspect.isclass(thing):
            parts["Functions"].append(_directive("autofunction", name))
        elif issubclass(thing, Exception):
            parts["Errors"].append(_directive("autoexception", name))
        else:
            parts["Classes"].append(_directive("autoclass", name))
    parts["Checks for classes of your own"] = [
        _directive("autofunction", f"testing.{name}") for name in TESTING
    ]
    return HEAD + "\n".join(f"## {title}\n\n" + "\n".join(entries) for title, entries in parts.items())


def _directive(kind: str, name: str) -> str:
    return f"```{{eval-rst}}\n.. {kind}:: raynas.{name}\n```\n"
