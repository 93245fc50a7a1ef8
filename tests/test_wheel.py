"""The wheel: what is in it, and that what it installs works from an unrelated folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SOURCES = (
    "raynas",
    "search_spaces",
    "launchers",
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout."""
    checkout, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, checkout)
    # Without isolation: the build's own requirements are installed already, and there may be no network.
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), "."]
    subprocess.run([sys.executable, "-m", *build], cwd=checkout, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_it_holds_every_file_of_the_packages_the_launchers_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    installed = {name for name in names if ".dist-info/" not in name}
    expected = {
        str(Path(place, path.relative_to(ROOT)))
        for package, place in (("raynas", ""), ("search_spaces", ""), ("launchers", "raynas"))
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert installed == expected


def test_it_says_what_it_is(wheel):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    text = archive.read(metadata).decode()
    assert "License-Expression: Apache-2.0" in text
    assert "Requires-Dist: ray" in text
    (entries,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "raynas = raynas.__main__:main" in archive.read(entries).decode()


def test_what_it_installs_works_from_an_unrelated_folder(wheel, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    install = ["pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, "-m", *install], check=True, capture_output=True)

    def output_of(*arguments: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(site)}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=elsewhere,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert output_of("-c", "import raynas; print(raynas.__file__)").startswith(str(site))
    assert "nasnet_a_mobile" in output_of("-m", "raynas", "spaces")
    output_of("-m", "raynas", "launchers", "--copy", "copy")
    assert (elsewhere / "copy" / "slurm" / "raynas.sbatch").is_file()
    assert "usage: raynas submit" in output_of("-m", "raynas", "submit", "--help")
