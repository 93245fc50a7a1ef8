"""The page of all commands with their options, from the command line itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from typer.main import get_command

from raynas.cli.commands import PANELS
from raynas.cli.main import app

HEAD = """# Commands

This page is generated from the command line; `raynas COMMAND --help` prints the same. Exit codes are 0 for
done, 1 for a run that failed, 2 for bad usage, 130 after Ctrl-C and 143 after SIGTERM.

"""


def commands_page() -> str:
    """The page in Markdown."""
    group: Any = get_command(app)
    parts = [HEAD]
    for panel, names in PANELS.items():
        parts.append(f"## {panel}\n\n")
        parts += (_section(name, group.get_command(None, name)) for name in names)
    return "".join(parts)


def _section(name: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join([f"raynas {name}", *(f"[{one.name.upper()}]" for one in arguments), "[OPTIONS]"])
    return "\n".join(
        [
            f"### raynas {name}\n",
            _text(command.help),
            f"\n```text\n{usage}\n```\n",
            *_items(command),
            _examples(command),
        ]
    )


def _items(command: Any) -> Iterator[str]:
    for one in command.params:
        is_argument = one.param_type_name == "argument"
        written = one.name.upper() if is_argument else ", ".join([*one.opts, *one.secondary_opts])
        help_text, default = _text(getattr(one, "help", "") or ""), _default(one)
        facts = [fact for fact in (_choices(one), default) if fact]
        shown = f" *{'. '.join(facts)}.*" if facts else ""
        yield f"`{written}`\n: {help_text or written}{shown}\n"


def _choices(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    if get_origin(annotation) is not Literal:
        return ""
    return f"One of {', '.join(get_args(annotation))}"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "Required"
    shown = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    if shown is None or shown is False or callable(shown) or shown == ():
        return ""
    return f"Default: {_text(str(getattr(shown, 'value', shown)))}"


def _examples(command: Any) -> str:
    lines = re.findall(r"^\s*(raynas .*)$", command.epilog or "", re.M)
    return "```text\n" + "\n".join(lines) + "\n```\n" if lines else ""


def _text(text: str | None) -> str:
    return re.sub(r"([<*])", r"\\\1", " ".join((text or "").replace("\b", "").split()))
