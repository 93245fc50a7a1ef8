"""Where the launchers lie: the programs and files that start Ray on a cluster and bring raynas to one."""

from __future__ import annotations

import shutil
from pathlib import Path

from raynas.errors import UsageError

_PACKAGE = Path(__file__).parents[2]
_IN_A_WHEEL, _IN_A_CHECKOUT = _PACKAGE / "launchers", _PACKAGE.parent / "launchers"
SUBMIT_FILE = "submit.py"


def launchers_folder() -> Path:
    """The folder of the launchers: in the package that a wheel has installed, beside it in a checkout.

    Raises:
        UsageError: there is none, such as on a node to which the package alone was copied.
    """
    for folder in (_IN_A_WHEEL, _IN_A_CHECKOUT):
        if (folder / SUBMIT_FILE).is_file():
            return folder
    raise UsageError(
        f"The launchers are neither in {_IN_A_WHEEL} nor in {_IN_A_CHECKOUT}. Install raynas's wheel, or use "
        "a checkout."
    )


def launcher_files(folder: Path) -> list[Path]:
    """The files of the launchers in `folder`, relative to it."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(path.relative_to(folder) for path in files)


def copy_launchers(target: Path) -> list[Path]:
    """Copies the launchers into `target`, which is made.

    Returns:
        The files, relative to `target`.
    Raises:
        UsageError: there is something in `target`, which stays as it is, or nothing can be written there.
    """
    folder = launchers_folder()
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise UsageError(f"{target} is not empty, and is left as it is. Choose another folder.")
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    except shutil.Error as error:
        raise UsageError(f"The launchers can't be copied: {error}. Choose another folder.") from error
    except OSError as error:
        raise UsageError(f"{target} can't be written: {error.strerror}. Choose another folder.") from error
    return launcher_files(target)
