"""The command line accepts every raynas command in the launchers' files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, cast

import pytest
import typer

from raynas.cli.main import app

LAUNCHERS = Path(__file__).parents[2] / "launchers"
# After submit.py's --, the Slurm script's name, or python -m raynas.
COMMAND = re.compile(r"(?:(?:^|\s)-- |raynas\.sbatch |python -m raynas )((?:search|promote|train) .+)")


def commands() -> list[str]:
    found = []
    for path in sorted(LAUNCHERS.rglob("*")):
        if path.suffix in (".md", ".py", ".yaml", ".sbatch"):
            text = re.sub(
                r"\s*\\\n#?\s*|(?<=/promotion)\n\s+(?=--)|(?<= 4)\n\s+(?=--)", " ", path.read_text()
            )
            found += COMMAND.findall(text)
    return found


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_the_command_line_takes_the_command(command):
    name, *arguments = shlex.split(command)
    group = cast(Any, typer.main.get_command(app))
    command = group.get_command(None, name)
    command.make_context(name, list(arguments))
    assert "--out" in arguments


def test_search_promotion_and_final_training_are_all_there():
    assert {command.split()[0] for command in commands()} == {"search", "promote", "train"}
