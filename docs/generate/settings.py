"""The page of all settings, from the fields of the config classes and their doc lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from raynas.programs.detect.config import DetectConfig
from raynas.programs.evaluate.config import OF_EVALUATION, ClassifierEvaluationConfig
from raynas.programs.search.config import CHOICES, SearchConfig
from raynas.programs.train.config import TrainConfig

ROOTS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("search", SearchConfig),
    ("train", TrainConfig),
    ("detect", DetectConfig),
    ("evaluate", ClassifierEvaluationConfig),
)
"""Commands that have settings of their own, with the class of the config."""
RECORDED = {"cell", "genotype", "origin", "run_id", "recipe", "kind", *CHOICES}
"""Fields that the command's arguments and options decide, or that are listed by the names they may have."""
HEAD = """# Settings

Every setting is given as `--set KEY=VALUE` on the command line, and as `settings={"KEY": VALUE}` in Python.
This page is generated from the config classes, so it has all of them, with their defaults. A recipe
(`--recipe`) changes some of the defaults; `--dry-run` prints what counts.

"""
TITLES = {
    "search": "Of `raynas search` and `raynas promote`",
    "train": "Of `raynas train`",
    "detect": "Of `raynas detect`",
    "evaluate": "Of `raynas evaluate`, for a classifier",
}
NOTES = {
    "search": "`raynas auto` takes `space=NAME` and those of `data`, `workers` and `tracking`.",
    "evaluate": "A detector has the settings of `raynas detect` that begin with `data.`, and those of\n"
    "`detector.` that say how it is evaluated: "
    + ", ".join(f"`detector.{name}`" for name in sorted(OF_EVALUATION))
    + ".",
}


def settings_page() -> str:
    """The page in Markdown."""
    return HEAD + "\n".join(_part(command, model) for command, model in ROOTS)


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting of a config with its dotted key, those of nested configs included."""
    for name, field in model.model_fields.items():
        if not prefix and name in RECORDED:
            continue
        below = _config_in(field)
        if below is None:
            yield f"{prefix}{name}", field
        else:
            yield from settings_of(below, f"{prefix}{name}.")


def _config_in(field: FieldInfo) -> type[BaseModel] | None:
    kinds = (field.annotation, *getattr(field.annotation, "__args__", ()))
    return next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _part(command: str, model: type[BaseModel]) -> str:
    groups: dict[str, list[str]] = {}
    for key, field in settings_of(model):
        group = key.partition(".")[0] if "." in key else ""
        groups.setdefault(group, []).append(entry(key, field))
    parts = [f"## {TITLES[command]}\n", NOTES.get(command, "") + "\n", *groups.pop("", [])]
    for group, entries in groups.items():
        parts += [f"### {group}: {command}\n" if command != "search" else f"### {group}\n", *entries]
    if command == "search":
        parts += _choices()
    return "\n".join(parts) + "\n"


def _choices() -> Iterator[str]:
    """The options of every registered search space, strategy and reward."""
    for section, registry in CHOICES.items():
        yield f"### {section}\n"
        yield f"`{section}.name` is what `--{section}` gives. The other options depend on it.\n"
        for name in registry.names():
            options = settings_of(registry.config_class(name))
            fields = [entry(f"{section}.{key}", field) for key, field in options]
            yield f"#### {section} {name}\n"
            yield from fields or ["It has no options.\n"]


def entry(key: str, field: FieldInfo) -> str:
    """A setting as an item of a definition list."""
    facts = [_allowed(field), _default(field)]
    text = " ".join((field.description or "").split()).replace("<", "\\<").replace("*", "\\*")
    return f"`{key}`\n: {text} *{'; '.join(fact for fact in facts if fact)}.*\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    assert default is not PydanticUndefined
    shown = TypeAdapter(Any).dump_json(default).decode()
    return f"default `{shown}`" if len(shown) < 200 else "default: those of its paper"


def _allowed(field: FieldInfo) -> str:
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    schema = TypeAdapter(kind).json_schema()
    return _words(schema, schema.get("$defs", {}))


def _words(schema: dict[str, Any], known: dict[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "$ref" in schema:
        return _words(known[schema["$ref"].rpartition("/")[2]], known)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_words(one, known) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    names = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false"}
    names |= {"array": "list", "null": "null", "object": "object"}
    bounds = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    limits = [f"{words} {schema[name]:,}" for name, words in bounds.items() if name in schema]
    return " ".join([names.get(schema.get("type", ""), "value"), " and ".join(limits)]).strip()
