"""Classes found by name: search spaces, strategies and rewards register with one decorator.

A user's own class needs no registration: 'package.module:ClassName' is imported and checked. Such a name may
have been read from a stranger's journal, so nothing is ever imported from inside a run's folder.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from raynas.config import Choice, validated
from raynas.errors import UnknownName, UsageError
from raynas.files import run_around

Thing = TypeVar("Thing")
_REGISTERED = re.compile(r"""^@register_\w+\(\s*["'](\w+)["']""", re.MULTILINE)
"""A decorator that registers a class, in the text of a module."""


class Registry(Generic[Thing]):
    """Classes of one kind by name.

    Args:
        kind: what messages call such a class, such as 'search space'.
        base: the class from which every registered or imported one must derive.
        package: the package whose modules are imported before the first look-up, so that they register
            their classes.
        section: the config's section that holds the options, such as 'space'; prefix of options in messages.
        config_of: returns the model that validates the options of a class.
    """

    def __init__(
        self,
        kind: str,
        base: Callable[..., Thing],
        package: str,
        *,
        section: str,
        config_of: Callable[[type[Thing]], type[BaseModel]],
    ) -> None:
        # mypy doesn't accept an abstract class as a type[Thing], so the annotation is a callable.
        assert isinstance(base, type)
        self.kind = kind
        self.package = package
        self.section = section
        self.base: type[Thing] = base
        self._config_of = config_of
        self._classes: dict[str, type[Thing]] = {}
        self._is_complete = False

    def register(self, name: str) -> Callable[[type[Thing]], type[Thing]]:
        """A class decorator; it raises ValueError if another class has the name."""

        def decorate(cls: type[Thing]) -> type[Thing]:
            taken = self._classes.get(name)
            # A reloaded module registers a new class object under the same qualified name: that is no clash.
            if taken is not None and taken.__qualname__ != cls.__qualname__:
                raise ValueError(f"{self.kind} {name!r} is registered already, by {taken.__module__}")
            self._classes[name] = cls
            return cls

        return decorate

    def names(self) -> list[str]:
        self._import_package()
        return sorted(self._classes)

    def check_name(self, name: str) -> None:
        """UnknownName if no class is called `name`, by the text of the package's modules.

        Nothing is imported: some of the modules load torch, which takes seconds. The path of a user's own
        class is not checked.
        """
        known = self.listed_names()
        if ":" not in name and name not in known:
            raise self._unknown(name, known)

    def listed_names(self) -> list[str]:
        """What `names` returns, read from the text of the package's modules: nothing is imported."""
        return sorted({*self._listed(), *self._classes})

    def name_of(self, chosen: str | type[Thing] | None) -> str | None:
        """The name by which `find` finds a class; a string or None stays as it is."""
        if not isinstance(chosen, type):
            return chosen
        registered = (name for name, cls in self._classes.items() if cls is chosen)
        return next(registered, f"{chosen.__module__}:{chosen.__qualname__}")

    def find(self, name: str) -> type[Thing]:
        """The class registered as `name`, or the one that 'package.module:ClassName' points at.

        Raises:
            UnknownName: no class is registered as `name`; suggests the nearest.
            UsageError: the path can't be imported, or its class doesn't derive from `base`.
        """
        if ":" in name:
            return self._import_class(name)
        if name not in self._classes and name in (modules := self._listed()):
            # Not its neighbours: some of them load torch.
            self._import_module(modules[name])
        if name not in self._classes:
            self._import_package()
        if name not in self._classes:
            raise self._unknown(name, self._classes)
        return self._classes[name]

    def configured(
        self, name: str, options: Mapping[str, Any], *, section: str = ""
    ) -> tuple[type[Thing], Any]:
        """The class that `find` returns, and its options: validated, with the defaults filled in.

        Args:
            section: prefix of options in messages; defaults to the registry's own.
        Raises:
            InvalidConfig: an option is unknown or out of bounds.
        """
        cls = self.find(name)
        return cls, validated(self.config_class(name), options, where=section or self.section)

    def config_class(self, name: str) -> type[BaseModel]:
        """The model that validates the options of the class called `name`."""
        return self._config_of(self.find(name))

    def complete(self, choice: Choice) -> Choice:
        """`choice` with every option of the class that it names, defaults included."""
        _, config = self.configured(choice.name, choice.options)
        return Choice(name=choice.name, **config.model_dump())

    def _unknown(self, name: str, known: Iterable[str]) -> UnknownName:
        hint = "Your own class: pass 'package.module:ClassName', importable from this folder or PYTHONPATH."
        return UnknownName(self.kind, name, known, hint)

    def _listed(self) -> dict[str, str]:
        """The package's module of each class, by the text of the modules."""
        return {
            name: file.stem
            for file in self._folder.glob("*.py")
            for name in _REGISTERED.findall(file.read_text(encoding="utf-8"))
        }

    @property
    def _folder(self) -> Path:
        """Where the package lies, which is beside or in the one that this file belongs to."""
        return Path(__file__).parents[1].joinpath(*self.package.split("."))

    def _import_package(self) -> None:
        if self._is_complete:
            return
        for module in pkgutil.iter_modules([str(self._folder)]):
            self._import_module(module.name)
        self._is_complete = True

    def _import_module(self, name: str) -> None:
        """Imports a module of the package; UsageError if one of the user's has its name."""
        _reach(self.package, self._folder)
        module = importlib.import_module(f"{self.package}.{name}")
        place = Path(str(module.__file__))
        if self._folder not in place.parents:
            raise UsageError(
                f"{place} has the name of a module of raynas, {self.package}.{name}, and hides it. "
                "Rename your file or its folder."
            )

    def _import_class(self, path: str) -> type[Thing]:
        module_name, _, class_name = path.partition(":")
        try:
            _check_place(module_name)
            cls = getattr(importlib.import_module(module_name), class_name)
        except Exception as error:
            # A user's module may raise anything while it is imported.
            shown = f"{error}" if isinstance(error, ImportError | UsageError) else _shown(error)
            raise UsageError(
                f"{self.kind} {path!r} can't be imported: {shown}. "
                "Give 'package.module:ClassName' with the module on PYTHONPATH."
            ) from error
        if not (isinstance(cls, type) and issubclass(cls, self.base)):
            raise UsageError(
                f"{path!r} is no {self.kind}: it must be a subclass of "
                f"{self.base.__module__}.{self.base.__qualname__}."
            )
        return cls


def _reach(package: str, folder: Path) -> None:
    """Makes the modules in `folder` importable as those of `package`, also if the user's own has its name.

    What lies in the user's folder of that name can be imported as before, except modules that are named as
    one of raynas's. Nothing in it is executed here.
    """
    if package not in sys.modules:
        found = find_spec(package)
        others = [
            place for place in (found and found.submodule_search_locations) or () if Path(place) != folder
        ]
        places = [str(folder), *(place for place in others if run_around(Path(place)) is None)]
        spec = spec_from_file_location(package, folder / "__init__.py", submodule_search_locations=places)
        assert spec is not None and spec.loader is not None
        sys.modules[package] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[package])
    # The user's may be a module without a path, which keeps its names and gets the path of a package.
    elif str(folder) not in (places := list(getattr(sys.modules[package], "__path__", ()))):
        sys.modules[package].__path__ = [str(folder), *places]


@contextlib.contextmanager
def naming_own_class(call: str, *things: object, note: str = "") -> Iterator[None]:
    """Turns what a user's own class raises within the block into a message that names the class and the call.

    An error of a class of raynas's own stays as it is.

    Args:
        call: what is called in the block, for an error that no frame of such a class has raised.
        things: objects or classes that take part. The first is the one that is called.
        note: sentences at the end of the message.
    Raises:
        UsageError: a class of the user's raised an error.
    """
    try:
        yield
    except Exception as error:
        classes = [thing if isinstance(thing, type) else type(thing) for thing in things]
        culprit = _culprit(error, [cls for cls in classes if not is_own(cls)])
        if culprit is None and not is_own(classes[0]):
            culprit = classes[0], call
        if culprit is None or isinstance(error, OwnClassError):
            raise
        cls, method = culprit
        raise OwnClassError(
            f"{cls.__module__}:{cls.__qualname__}.{method} raised {_shown(error)}{_place(error)}. "
            f"That class is yours: correct it. {note or 'A run that had begun can then be resumed.'}"
        ) from error


class OwnClassError(UsageError):
    """A user's own search space, strategy or reward raised an error."""


def is_own(cls: type) -> bool:
    """Whether a class is raynas's own."""
    return cls.__module__.partition(".")[0] in ("raynas", "search_spaces")


def _culprit(error: Exception, classes: list[type]) -> tuple[type, str] | None:
    """Class and method of the innermost call of one of `classes` that `error` came through."""
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        cls = type(frame.f_locals.get("self"))
        if cls in classes:
            found = cls, frame.f_code.co_name
    return found


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(".") if str(error) else type(error).__name__


def _place(error: Exception) -> str:
    """Where `error` was raised, for a message."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if len(frames) > 1 else ""


def _check_place(module_name: str) -> None:
    """Raises UsageError if the module, or a package that contains it, lies in a run's folder."""
    for run in (run_around(place) for place in _places(module_name)):
        if run is not None:
            raise UsageError(
                f"The module {module_name!r} lies in the folder of a run, {run}. Files in such a "
                "folder are data and are not executed: move your module elsewhere, onto PYTHONPATH."
            )


def lies_in(name: str, folder: Path) -> bool:
    """Whether the module of 'package.module:ClassName' lies in `folder`; False for other names."""
    if ":" not in name:
        return False
    target = folder.resolve()
    around = (parent for place in _places(name.partition(":")[0]) for parent in place.absolute().parents)
    return any(parent.resolve() == target for parent in around)


def _places(module_name: str) -> Iterator[Path]:
    """Files and folders of a module and of the packages that contain it; none for __main__, which runs."""
    parts = module_name.split(".") if module_name != "__main__" else []
    for length in range(1, len(parts) + 1):
        spec = find_spec(".".join(parts[:length]))
        if spec is None:
            return
        places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.has_location else ())]
        yield from (Path(str(place)) for place in places)
