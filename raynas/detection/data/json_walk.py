"""Walks through a large JSON text part by part, so that only one part at a time exists as Python objects."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from raynas.errors import DataError

_WHITESPACE = re.compile(r"[ \t\n\r]*")


class JsonWalk:
    """A place in a JSON text. Whoever walks decides at each part whether to step into it or to take it.

    NaN and Infinity, which Python writes, are read as NaN. An infinite number is one beyond floats.

    Args:
        file: name of the text in messages.
    """

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.place = 0
        self._decoder = json.JSONDecoder(parse_constant=lambda name: math.nan)

    def error(self, problem: str) -> DataError:
        """The error that tells a problem of this text."""
        return DataError(f"{self.file} {problem}.")

    def next(self) -> str:
        """The next character that is no space, without taking it; '' at the end."""
        match = _WHITESPACE.match(self.text, self.place)
        assert match is not None
        self.place = match.end()
        return self.text[self.place : self.place + 1]

    def members(self) -> Iterator[str]:
        """Names of the object at the place; the consumer takes each one's value."""
        for _ in self._parts("}"):
            name = self.value()
            if not isinstance(name, str):
                raise self._broken("a name is expected")
            self._take(":")
            self.next()
            yield name

    def elements(self) -> Iterator[int]:
        """Indexes of the list at the place; the consumer takes each one's value."""
        return self._parts("]")

    def _parts(self, end: str) -> Iterator[int]:
        self.place += 1
        index = 0
        is_more = self.next() != end
        while is_more:
            self.next()
            yield index
            index += 1
            is_more = self.next() == ","
            self.place += is_more
        self._take(end)

    def _take(self, expected: str) -> None:
        if self.next() != expected:
            raise self._broken(f"{expected!r} is expected")
        self.place += 1

    def value(self) -> Any:
        """The value at the place, which moves behind it.

        Raises:
            DataError: there is none, because the text is damaged or cut off.
        """
        try:
            value, self.place = self._decoder.raw_decode(self.text, self.place)
        except RecursionError:
            raise self.error(f"is nested too deeply at character {self.place:,}. Export it again") from None
        except json.JSONDecodeError as error:
            self.place = error.pos
            raise self._broken(error.msg.replace("Expecting value", "a value is expected")) from error
        except ValueError as error:
            raise self.error(
                f"has a number that can't be read near character {self.place:,}: {error}"
            ) from error
        return value

    def _broken(self, problem: str) -> DataError:
        if self.place >= len(self.text.rstrip()) or problem.startswith("Unterminated"):
            return self.error(f"is cut off after {len(self.text):,} characters. Download or export it again")
        line = self.text.count("\n", 0, self.place) + 1
        found = self.text[self.place : self.place + 20]
        return self.error(
            f"is no JSON: {problem} at line {line:,}, character {self.place:,}, "
            f"where {found!r} stands. Download or export it again"
        )
