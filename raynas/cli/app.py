"""What all commands share: the app, common options, and how errors become exit codes.

Exit codes: 0 success, 1 the run failed, 2 wrong usage, 130 interrupted by Ctrl-C, 143 terminated by SIGTERM.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import typer

from raynas.cli import completion
from raynas.cli.commands import LazyCommands
from raynas.cli.terminal.console import message_console
from raynas.config import merged
from raynas.errors import RaynasError, UsageError


def examples(*commands: str) -> str:
    """The last lines of a command's help."""
    return "\n\n".join(["Examples:", *commands])


app = typer.Typer(
    name="raynas",
    cls=LazyCommands,
    epilog=examples(
        "raynas search",
        "raynas search --data DIR --children 100",
        "raynas COMMAND --help",
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Command = TypeVar("Command", bound=Callable[..., Any])
RunArgument = Annotated[
    Path | None, typer.Argument(help="Folder of a run. Defaults to the newest one in runs/.")
]
WorkersOption = Annotated[str | None, typer.Option(help="Number of workers, or 'auto'.", show_default="auto")]
AddressOption = Annotated[
    str | None,
    typer.Option(help="Address of a Ray cluster. Defaults to RAY_ADDRESS, or else to this machine."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done, and on which images, and exit.")
]
FolderOption = Annotated[Path | None, typer.Option(help="Output folder.", show_default="a new one in runs/")]
HoursOption = Annotated[
    float | None,
    typer.Option(help="Hours after which it ends: nothing is started that would take longer."),
]
_SET_HELP = "Set any field of the config: KEY=VALUE, such as network.filters=36. Repeatable."
SetOption = Annotated[list[str] | None, typer.Option("--set", help=_SET_HELP)]
SearchSetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help=_SET_HELP, autocompletion=completion.search_settings),
]
TrainSetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help=_SET_HELP, autocompletion=completion.train_settings),
]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(f"raynas {version('raynas')}")
        raise typer.Exit


@app.callback()
def raynas(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Search for convolutional cells with a reinforcement-learning controller on a Ray cluster."""


def reports_errors(command: Command) -> Command:
    """Turns every RaynasError into a message and an exit code. Other exceptions keep their traceback."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except RaynasError as error:
            message = in_options(str(error), [name for name, value in kwargs.items() if value is not None])
            fail(message, 2 if isinstance(error, UsageError) else 1)
        except BrokenPipeError:
            # The reader of the pipe, such as `head`, has closed it. Python flushes stdout once more at exit,
            # which would raise again, so from here on stdout goes to /dev/null.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return wrapped  # type: ignore[return-value]


FIELDS_OF_OPTIONS: dict[str, tuple[str, ...]] = {
    "data": ("data.source",),
    "validation": ("data.validation",),
    "space": ("space.name",),
    "strategy": ("strategy.name",),
    "reward": ("reward.name",),
    "weights": ("weights.source",),
    "workers": ("workers.count",),
    "nodes": ("workers.nodes",),
    "min_workers": ("workers.at_least",),
    "epochs": ("child.epochs", "training.epochs"),
    "batch_size": ("training.batch_size",),
    "children": ("children",),
    "seed": ("seed",),
    "memo": ("memo",),
}
"""Which fields of a config an option sets."""


def in_options(message: str, given: Iterable[str]) -> str:
    """A message about fields in the words of the options that were typed instead.

    Args:
        given: names of the options' parameters. A field that none of them sets keeps its name.
    """
    for name in given:
        option = f"--{name.replace('_', '-')}"
        for field in FIELDS_OF_OPTIONS.get(name, ()):
            message = re.sub(rf"(?<![\w.]){re.escape(field)} = ", f"{option} ", message)
            # A field without a dot may be any word of a sentence.
            if "." in field:
                message = re.sub(rf"(?<![\w.]){re.escape(field)}(?![\w.]*\w)", option, message)
    return message


ValidationOption = Annotated[
    str | None,
    typer.Option(
        help="Validation images: a path like --data.",
        show_default="val/ in the data, or held out",
    ),
]


def with_validation(settings: Mapping[str, Any], path: str | None) -> Mapping[str, Any]:
    """Settings in which --validation, where it is given, is data.validation."""
    return settings if path is None else merged(settings, {"data": {"validation": path}})


def worker_count(text: str | None) -> int | Literal["auto"] | None:
    """The value of --workers: a number of at least 1, 'auto', or None where the option is not given."""
    if text is None:
        return None
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--workers {text!r} is neither a number of at least 1 nor 'auto'.")
    return int(text)


def fail(message: str, code: int) -> NoReturn:
    """Prints an error and exits."""
    message_console().print(f"Error: {message}", style="red")
    raise typer.Exit(code)
