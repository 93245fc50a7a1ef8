"""Calls of `raynas detect` for the tests of its command."""

from __future__ import annotations

from typer.testing import CliRunner

from raynas.cli.main import app

SMALL = ["--recipe", "small", "--set", "network.filters=8", "--batch-size", "2"]


def call(*words: str) -> tuple[int, str]:
    """The exit code, and all that was printed, without the line breaks of a narrow terminal."""
    result = CliRunner().invoke(app, ["detect", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def plan_of(data, *words: str) -> str:
    code, text = call("nasnet_a", "--data", str(data), *SMALL, "--dry-run", *words)
    assert code == 0, text
    return text


def refused(data, *words: str) -> str:
    code, text = call("nasnet_a", "--data", str(data), *SMALL, "--dry-run", *words)
    assert code == 2, text
    return text
