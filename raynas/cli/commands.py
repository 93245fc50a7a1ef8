"""The commands in the order of `raynas --help`; the module of a command is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command_from_info

PANELS: dict[str, tuple[str, ...]] = {
    "From images to a network": ("auto",),
    "Search": ("search", "promote", "rescore"),
    "Train and use a network": ("train", "detect", "evaluate", "export", "convert"),
    "Look at runs": ("status", "leaderboard", "compare", "report", "show", "ui", "sync"),
    "On a cluster": ("submit", "launchers"),
    "Know more": ("spaces", "benchmark", "doctor"),
}
"""Commands by the panel in which `raynas --help` lists them. Each has the module raynas.cli.NAME."""
PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names}


class LazyCommands(TyperGroup):
    """The group of all commands, of which only the one that is called is imported."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(PANEL_OF)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command called `cmd_name`; None if there is none."""
        if cmd_name not in PANEL_OF:
            return None
        command: Any = self.commands.get(cmd_name) or _imported(cmd_name)
        command.rich_help_panel = PANEL_OF[cmd_name]
        self.commands[cmd_name] = command
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in PANEL_OF:
            # The message about an unknown command suggests one of those that are loaded.
            for name in PANEL_OF:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)


def _imported(name: str) -> Any:
    """The command called `name`, which its module registers with the app."""
    app: typer.Typer = importlib.import_module(f"raynas.cli.{name}").app
    infos = {info.name or info.callback.__name__: info for info in app.registered_commands if info.callback}
    return get_command_from_info(
        infos[name], pretty_exceptions_short=True, rich_markup_mode=app.rich_markup_mode
    )
