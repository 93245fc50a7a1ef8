"""Puts the launchers into the wheel, as raynas/launchers; all else about the build is in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

LAUNCHERS = Path(__file__).parent / "launchers"


class WithLaunchers(build_py):
    """An editable install needs no copy: there the launchers lie beside the package."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            copy = Path(self.build_lib, "raynas", "launchers")
            shutil.copytree(LAUNCHERS, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)


setup(cmdclass={"build_py": WithLaunchers})
