"""What all commands share: the app, options, and how errors end. Exit codes: 0 done, 1 the run failed,
2 bad usage, 130 interrupted by Ctrl-C, 143 by SIGTERM."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from raynas.cli.terminal.console import message_console
from raynas.errors import RaynasError, UsageError

app = typer.Typer(
    name="raynas",
    help="Search for convolutional cells with a reinforcement-learning controller on a Ray cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Command = TypeVar("Command", bound=Callable[..., Any])
RunArgument = Annotated[Path | None, typer.Argument(help="Run folder; the newest below runs/ if left out.")]
WorkersOption = Annotated[str | None, typer.Option(help="Workers in all, or 'auto'.  [default: auto]")]
AddressOption = Annotated[
    str | None, typer.Option(help="Ray cluster; left out: RAY_ADDRESS, or this machine.")
]
FolderOption = Annotated[Path | None, typer.Option(help="Folder.  [default: a new one below runs/]")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="key=value, such as network.filters=36.")]


def reports_errors(command: Command) -> Command:
    """Turns a user's mistake into a message and an exit code; anything else keeps its traceback."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except RaynasError as error:
            fail(str(error), 2 if isinstance(error, UsageError) else 1)
        except BrokenPipeError:
            # The reader, such as head, has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return wrapped  # type: ignore[return-value]


def worker_count(text: str | None) -> int | str | None:
    if text is None or text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--workers {text!r} is neither a number of at least 1 nor 'auto'.")
    return int(text)


def fail(message: str, code: int) -> NoReturn:
    message_console().print(f"Error: {message}", style="red")
    raise typer.Exit(code)
