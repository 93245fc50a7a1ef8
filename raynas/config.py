"""The base class of configs, and how 'key=value' assignments and plain dicts become a validated config.

Each config class is defined beside what it configures (ChildConfig in training, NetworkConfig in nn, ...).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import signature
from typing import Annotated, Any, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticSerializationError

from raynas.errors import InvalidConfig, RaynasError, did_you_mean, shortened
from raynas.files import parse_json

Model = TypeVar("Model", bound=BaseModel)
Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
AnyFloat = Annotated[float, Field(allow_inf_nan=True)]
"""A measured number, which may be NaN or infinite."""
# A password in a database's URI may hold a slash or an at sign: it ends at the last '@' before a space.
_USER = re.compile(r"(?<=://)(?:[^\s/:]+:\S*|[^\s/]*)@")
_KIND = re.compile(r"(constrained-\w+|literal\[.*\]|int|float|str|bool)")
"""What pydantic adds to the place of a field that takes values of several kinds."""
_SHOULD_BE = ": Input should be "
_QUERY_SECRET = re.compile(r"([?&][^=&\s]*(?:password|pwd|token|secret|key)[^=&\s]*=)[^&\s]+", re.IGNORECASE)


class FrozenModel(BaseModel):
    """A validated and immutable value; unknown fields, NaN and infinity are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        ser_json_inf_nan="strings",
    )


def validated(model: type[Model], values: Mapping[str, Any], *, where: str = "") -> Model:
    """An instance of `model`.

    Args:
        where: dotted prefix of the fields in messages, such as 'space'.
    Raises:
        InvalidConfig: the message names the field, its value and what is allowed.
    """
    if not isinstance(values, Mapping):
        raise InvalidConfig(
            f"{where or 'the configuration'} = {_shown(values)}: it must be an object, names with values."
        )
    try:
        instance = model.model_validate(dict(values))
        # A config that is accepted must also be recordable: an argument of the command line may hold bytes
        # that are no valid Unicode.
        instance.model_dump_json()
    except ValidationError as error:
        problems = [_explain(model, problem, where) for problem in error.errors(include_url=False)]
        raise InvalidConfig("\n".join(_joined(problems))) from None
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise InvalidConfig(f"{where or 'the configuration'} can't be written down: {error}.") from None
    return instance


def merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A nested dict with the values of `overrides`, or else of `base`; neither of the two is changed."""
    result = dict(base)
    for key, value in overrides.items():
        below = result.get(key)
        both_nested = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merged(below, value) if both_nested else value  # type: ignore[arg-type]
    return result


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], where: str = ""
) -> dict[str, tuple[Any, Any]]:
    """(old, new) by dotted key, wherever two nested dicts differ; a missing value counts as None."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found |= differences(a, b, f"{where}{key}.")
        elif a != b:
            found[f"{where}{key}"] = (a, b)
    return found


def check_fields(model: type[BaseModel], values: Mapping[str, Any]) -> None:
    """InvalidConfig if `values`, nested, name a field that `model` doesn't have.

    What they set isn't looked at. This needs no complete config, so that a misspelt word is answered before
    anything else is done.
    """
    for key, value in flattened(values).items():
        *path, field = key.split(".")
        for depth, part in enumerate([*path, field]):
            known = _fields_at(model, path[:depth])
            # Nothing is known of a field that holds no config of its own.
            if known and part not in known:
                problem = {"type": "extra_forbidden", "loc": [*path[:depth], part], "input": value, "msg": ""}
                raise InvalidConfig(_explain(model, problem, ""))


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{'space': {'num_blocks': 5}} as {'space.num_blocks': 5}."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """{'space.num_blocks': 5} as {'space': {'num_blocks': 5}}; the last value of a field counts."""
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        below = nested(value) if isinstance(value, Mapping) else value
        tree = merged(tree, _nested(str(key).split("."), below))
    return tree


def suggests_arguments(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """`function`, whose TypeError for an unknown argument suggests the nearest known one."""
    known = signature(function).parameters

    @wraps(function)
    def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        for name in kwargs:
            if name not in known:
                raise TypeError(
                    f"{function.__name__}() has no argument {name!r}.{did_you_mean(name, known)} "
                    f"Known: {', '.join(known)}."
                )
        return function(*args, **kwargs)

    return checked


def without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `tree` without the values that are None and without the dicts that this leaves empty."""
    pruned = {k: without_none(value) if isinstance(value, Mapping) else value for k, value in tree.items()}
    return {key: value for key, value in pruned.items() if value is not None and value != {}}


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """['child.epochs=3', 'space.operations=["identity"]'] as a nested dict.

    A value is read as JSON if possible, else taken as a string.
    """
    tree: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise InvalidConfig(f"{assignment!r} is not of the form key=value, such as child.epochs=3.")
        tree = merged(tree, _nested(parts, _parse_value(text.strip())))
    return tree


def _nested(parts: list[str], value: Any) -> dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    return dict(value)


def _parse_value(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text


def _joined(problems: Iterable[str]) -> list[str]:
    """Problems with one value in one line: what it should be, or else should be."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        head, _, allowed = problem.partition(_SHOULD_BE)
        found.setdefault(head, []).extend([allowed.removesuffix(".")] if allowed else [])
    return [
        f"{head}{_SHOULD_BE}{' or '.join(allowed)}." if allowed else head for head, allowed in found.items()
    ]


def _explain(model: type[BaseModel], problem: Any, where: str) -> str:
    location = [str(part) for part in problem["loc"]]
    if len(location) > 1 and _KIND.fullmatch(location[-1]):
        location.pop()
    field = ".".join([where, *location] if where else location) or "the configuration"
    if problem["type"] == "extra_forbidden":
        known = _fields_at(model, location[:-1])
        allowed = f" Known: {', '.join(sorted(known))}." if known else ""
        return f"{field} is not an option.{did_you_mean(location[-1], known)}{allowed}"
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, RaynasError):
        # The error of a nested config or look-up is complete by itself.
        return str(cause)
    message = problem["msg"].removeprefix("Value error, ").partition(", unable to parse")[0]
    if problem["type"] == "missing":
        return f"{field} is missing."
    return f"{field} = {_shown(problem['input'])}: {message}."


def _shown(value: Any) -> str:
    return shortened(repr(value), 80)


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return [] if model.model_config.get("extra") == "allow" else list(model.model_fields)


class Choice(FrozenModel):
    """A registered name or 'package.module:ClassName', together with the options of the class it names."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def without_credentials(text: str) -> str:
    """`text` without the user, password and secret query fields of every URI in it."""
    return _QUERY_SECRET.sub(r"\1***", _USER.sub("", text))


def scrubbed(value: Any) -> Any:
    """A copy of a nested value without the credentials of the URIs in its strings."""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, Mapping):
        return {str(key): scrubbed(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(below) for below in value]
    return value
