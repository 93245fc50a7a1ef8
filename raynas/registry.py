"""Things found by name: search spaces and strategies register with one decorator.

A user's own class needs no registration: 'package.module:ClassName' is imported and checked. Such a name
may come from a journal, and a journal from a stranger: nothing is imported out of a run's folder.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar

from raynas.errors import UnknownName, UsageError
from raynas.files import run_around

Thing = TypeVar("Thing")


class Registry(Generic[Thing]):
    """Classes of one kind by name.

    Args:
        kind: what messages call such a class, such as 'search space'.
        base: every class registered or imported must derive from it.
        package: its modules are imported before the first look-up, so that each registers what it holds.
    """

    def __init__(self, kind: str, base: Callable[..., Thing], package: str) -> None:
        # An abstract class is no type[Thing] to mypy, so it comes as a callable.
        assert isinstance(base, type)
        self.kind, self.package = kind, package
        self.base: type[Thing] = base
        self._classes: dict[str, type[Thing]] = {}
        self._is_complete = False

    def register(self, name: str) -> Callable[[type[Thing]], type[Thing]]:
        """The class decorator; ValueError if the name is taken by another class."""

        def decorate(cls: type[Thing]) -> type[Thing]:
            taken = self._classes.get(name)
            if taken is not None and taken.__qualname__ != cls.__qualname__:
                raise ValueError(f"{self.kind} {name!r} is registered already, by {taken.__module__}")
            self._classes[name] = cls
            return cls

        return decorate

    def names(self) -> list[str]:
        self._import_package()
        return sorted(self._classes)

    def find(self, name: str) -> type[Thing]:
        """The class called `name`, or the one that 'package.module:ClassName' points at."""
        if ":" in name:
            return self._import_class(name)
        self._import_package()
        if name not in self._classes:
            hint = (
                "Your own class: pass 'package.module:ClassName', importable from this folder or PYTHONPATH."
            )
            raise UnknownName(self.kind, name, self._classes, hint)
        return self._classes[name]

    def _import_package(self) -> None:
        if self._is_complete:
            return
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        self._is_complete = True

    def _import_class(self, path: str) -> type[Thing]:
        module_name, _, class_name = path.partition(":")
        try:
            _check_place(module_name)
            cls = getattr(importlib.import_module(module_name), class_name)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise UsageError(
                f"{self.kind} {path!r} can't be imported: {error}. "
                "Give 'package.module:ClassName' with the module on PYTHONPATH."
            ) from error
        if not (isinstance(cls, type) and issubclass(cls, self.base)):
            raise UsageError(
                f"{path!r} is no {self.kind}: it must be a subclass of "
                f"{self.base.__module__}.{self.base.__qualname__}."
            )
        return cls


def _check_place(module_name: str) -> None:
    """UsageError if the module, or a package that it is in, lies in a run's folder."""
    parts = module_name.split(".")
    for length in range(1, len(parts) + 1):
        spec = find_spec(".".join(parts[:length]))
        if spec is None:
            return
        places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.has_location else ())]
        for run in (run_around(Path(str(place))) for place in places):
            if run is not None:
                raise UsageError(
                    f"The module {module_name!r} lies in the folder of a run, {run}. What is in such a "
                    "folder is data and is not executed: move your module elsewhere, onto PYTHONPATH."
                )
