"""Labels in the WebDataset layout: files of one sample share a key, as 000017.jpg and 000017.cls do.

A sample's class is in KEY.cls, as a number or a name, or in KEY.json under one of a few names. The key is
what comes before the last ending, or, as WebDataset counts, before the first dot: 17.input.jpg and 17.cls.
Source: webdataset.github.io, "The WebDataset Format"; the library's autodecode.py for endings of labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from raynas.errors import DataError
from raynas.files import parse_json

Label = int | str
"""The number of a class, or its name."""

CLASS_ENDINGS = (".cls", ".cls.txt", ".class")
"""Files that hold a label and nothing else, the first before the others."""
LABEL_ENDINGS = (*CLASS_ENDINGS, ".json")
MAX_LABEL_BYTES = 1 << 20
_JSON_KEYS = ("label", "cls", "class", "class_id", "class_name")

_WHOLE = re.compile(r"[+-]?\d{1,18}")
_SEVERAL = re.compile(r"[\[(]?\s*[+-]?\d+([\s,;]+[+-]?\d+)+\s*[\])]?")
_FRACTION = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d{19,})(e[+-]?\d+)?", re.IGNORECASE)


def label_ending(name: str) -> str | None:
    """'.cls' for 0.cls and '.cls.txt' for 0.CLS.TXT; None for a file that holds no label."""
    return next((ending for ending in LABEL_ENDINGS if name.lower().endswith(ending)), None)


class _Found(NamedTuple):
    """A label file; `problem` says why it is of no use."""

    path: PurePosixPath
    label: Label | None
    problem: str = ""


class SampleLabels:
    """The labels of the samples in one tar file or folder, which messages call `where`."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._found: dict[str, _Found] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, path: PurePosixPath, content: bytes) -> bool:
        """Takes the content of a label file, and tells whether there is a label in it; JSON may have none.

        If a sample has labels of two kinds, .cls counts before JSON.

        Raises:
            DataError: the sample has two labels of one kind.
        """
        ending = label_ending(path.name)
        assert ending is not None
        found = _read(path, content, is_json=ending == ".json")
        if found is None:
            return False
        key = str(path)[: -len(ending)]
        known = self._found.get(key)
        ranks = [LABEL_ENDINGS.index(label_ending(item.path.name) or "") for item in (known or found, found)]
        if known is not None and ranks[0] == ranks[1] and known.label != found.label:
            raise DataError(
                f"{self._where} has {path} twice, with the labels {known.label!r} and {found.label!r}. "
                "Remove one of them."
            )
        if known is None or ranks[1] < ranks[0]:
            self._found[key] = found
        return True

    def of(self, images: Sequence[PurePosixPath]) -> list[Label]:
        """The label of each image.

        Raises:
            DataError: an image has no label or one that can't be used, or two images have one label.
        """
        found: list[_Found | None] = [self._found.get(str(image.with_suffix(""))) for image in images]
        of_samples: dict[str, list[_Found]] = {}
        for item in self._found.values():
            of_samples.setdefault(_sample(item.path), []).append(item)
        owners: dict[PurePosixPath, PurePosixPath] = {}
        for image, own in zip(images, found, strict=True):
            if own is not None:
                self._take(owners, image, own)
        labels: list[Label] = []
        for image, own in zip(images, found, strict=True):
            item = own or self._only(image, of_samples.get(_sample(image), []))
            self._take(owners, image, item)
            labels.append(self._usable(item))
        return labels

    def _take(self, owners: dict[PurePosixPath, PurePosixPath], image: PurePosixPath, item: _Found) -> None:
        owner = owners.setdefault(item.path, image)
        if owner is not image:
            raise DataError(
                f"{self._where} has two images, {owner} and {image}, with a single label, {item.path}. "
                "Allowed is one image for each label: add the missing label, or remove the other image."
            )

    def _only(self, image: PurePosixPath, items: Sequence[_Found]) -> _Found:
        if len(items) == 1:
            return items[0]
        what = f"{len(items)} labels ({items[0].path}, {items[1].path})" if items else "no label"
        raise DataError(
            f"The image {image} in {self._where} has {what}. Where images have labels of their own, each "
            f"needs one: {image.with_suffix('.cls').name} beside it, which holds the number or the name of "
            f"its class, or {image.with_suffix('.json').name} with a 'label'. Add it, or remove the image."
        )

    def _usable(self, item: _Found) -> Label:
        if item.label is None:
            raise DataError(
                f"The label {item.path} in {self._where} can't be used: {item.problem}. Allowed are a whole "
                "number from 0, which is the class's index, or the class's name. Correct it, or remove the "
                "sample."
            )
        return item.label


def check_one_kind(labels: Sequence[tuple[Label, str]]) -> None:
    """Raises DataError if some labels are numbers and others names.

    Args:
        labels: each with the name of its image, for the message.
    """
    numbers = [pair for pair in labels if isinstance(pair[0], int)]
    names = [pair for pair in labels if isinstance(pair[0], str)]
    if not numbers or not names:
        return
    few, many = sorted((numbers, names), key=len)
    raise DataError(
        f"{few[0][1]} has the label {few[0][0]!r}, but {many[0][1]} has {many[0][0]!r}. Allowed are either "
        "numbers from 0 for all images or names for all. Correct the labels, or remove these samples."
    )


def _sample(path: PurePosixPath) -> str:
    """The key of a file's sample, as WebDataset counts: all before the first dot of its name."""
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def _read(path: PurePosixPath, content: bytes, *, is_json: bool) -> _Found | None:
    if len(content) > MAX_LABEL_BYTES:
        return _Found(path, None, f"it has more than {MAX_LABEL_BYTES:,} bytes")
    try:
        value: Any = _json_label(content) if is_json else content.decode("utf-8-sig")
        return None if value is None else _Found(path, _label(value))
    except UnicodeDecodeError:
        return _Found(path, None, "it is not text in UTF-8")
    except ValueError as error:
        return _Found(path, None, str(error))


def _json_label(content: bytes) -> Any:
    value = parse_json(content)
    if isinstance(value, dict):
        value = next((value[key] for key in _JSON_KEYS if key in value), None)
    # Lists and objects are boxes, captions and the like.
    return None if isinstance(value, list | dict) else value


def _label(value: Any) -> Label:
    """The label that a text or a value of JSON means; ValueError says why it is none."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{str(value)[:40]!r} is neither a whole number nor a name")
    text = str(value).strip()
    if not text:
        raise ValueError("it is empty")
    if _SEVERAL.fullmatch(text) or "\n" in text:
        raise ValueError(f"{text[:40]!r} is more than one label")
    if _WHOLE.fullmatch(text):
        if int(text) < 0:
            raise ValueError(f"{text} is negative, as in a test set without labels")
        return int(text)
    if _FRACTION.fullmatch(text) or not text.isprintable():
        raise ValueError(f"{text[:40]!r} is neither a whole number nor a name")
    return text
