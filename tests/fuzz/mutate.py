"""Random mutations of valid inputs: of bytes, of text, and of the structure of JSON."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

COUNTS = (1, 1, 1, 1, 2, 3, 4)
"""Numbers of changes to one input. Most inputs have a single one, so that they pass the first checks."""
# Texts that json.dumps would not write, or not in reasonable time. They replace markers in its output.
RAW = (
    "NaN",
    "-Infinity",
    "1e999",
    "-0",
    "1" * 400,
    "9" * 5000,
    "0.1e-400",
    "[" * 200 + "]" * 200,
    "[" * 20_000 + "]" * 20_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    '{"name": "nasnet", "name": "ppo"}',
    "{} {}",
    "tru",
    "'x'",
)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 255, 256, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30,
    0.0, -0.0, 0.5, 1.0, 1.5, -1.5, 1e-320, 1e15, 1e22, 1e200, 1.8e308, -1e308, "", " ", "0", "-1", "1e3",
    "NaN", "inf", "null", "true", "auto", "none", "nasnet", "ppo", "identity", "a" * 1000, "\x00", "\x1b[2J",
    "\u202e", "\ud800", "\U0001f4a3", "[bold]x[/bold]", "{0.__class__}", "%s%n", "../../etc/passwd",
    "os:system", "builtins:eval", "x:y", ":", "a.b:C", [], {}, [[]], [None], [0], [1, 2, 3], {"": 0},
    {"name": "nasnet"}, {"name": []},
)  # fmt: skip
TOKENS = (
    b"\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\x7f\xff\xff\xff\xff\xff\xff\xff", b"\n", b"\r",
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"NaN", b"1e999", b"-", b"null", b"\xed\xa0\x80", b"\xc3(",
    b"PAR1", b"PK\x03\x04", b"\x80\x02c", b"\xef\xbb\xbf", b"\xe2\x80\xa8",
)  # fmt: skip
_MARK = "raw-text-{}-here"


def mutated_bytes(rng: random.Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """`data` after one to four changes; its end may be replaced by that of one of `others`."""
    changed = bytearray(data)
    for _ in range(rng.choice(COUNTS)):
        if others and rng.random() < 0.1:
            changed = _spliced(rng, changed, rng.choice(others))
        else:
            rng.choice(_BYTE_CHANGES)(rng, changed)
    return bytes(changed)


def mutated_text(rng: random.Random, text: str) -> str:
    """`text` after one to three changes: letters are dropped, doubled, or replaced by odd ones."""
    letters = list(text)
    for _ in range(rng.randint(1, 3)):
        place = rng.randint(0, len(letters))
        choice = rng.randrange(4)
        if choice == 0:
            del letters[place : place + rng.randint(1, 3)]
        elif choice == 1:
            letters[place:place] = letters[place : place + rng.randint(1, 8)]
        elif choice == 2:
            letters.insert(place, rng.choice("-=.,:[]{}\"'\\/ \t\n\u00e9\u202e0179e+~%$*?"))
        else:
            letters[place : place + 1] = rng.choice(
                ["", "NaN", "1e999", "-1", "0", "9" * 30, "null", "--", "[[", "\ud800"]
            )
    return "".join(letters)


def mutated_json(rng: random.Random, value: Any) -> str:
    """The JSON text of `value` after one to four changes of its structure; it may not be valid JSON any
    more."""
    box = [copy.deepcopy(value)]
    for _ in range(rng.choice(COUNTS)):
        _change_a_place(rng, box)
    text = json.dumps(box[0], ensure_ascii=rng.random() < 0.9)
    for number, raw in enumerate(RAW):
        text = text.replace(f'"{_MARK.format(number)}"', raw)
    return _with_a_key_twice(rng, text) if rng.random() < 0.05 else text


def json_bytes(rng: random.Random, value: Any) -> bytes:
    """The content of a JSON file, mutated as JSON, as bytes, or both."""
    kind = rng.random()
    text = json.dumps(value) if kind < 0.2 else mutated_json(rng, value)
    data = text.encode("utf-8", "surrogatepass")
    return mutated_bytes(rng, data) if 0.1 < kind < 0.25 else data


def _change_a_place(rng: random.Random, box: list[Any]) -> None:
    parent, key = rng.choice(list(_places(box)))
    rng.choice(_JSON_CHANGES)(rng, parent, key)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container below `node` with every key or index of it."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from _places(node[key])


def _replace(rng: random.Random, parent: Any, key: Any) -> None:
    parent[key] = copy.deepcopy(rng.choice(VALUES))


def _replace_raw(rng: random.Random, parent: Any, key: Any) -> None:
    parent[key] = _MARK.format(rng.randrange(len(RAW)))


def _nudge(rng: random.Random, parent: Any, key: Any) -> None:
    """Changes the value a little, so that its type stays the same."""
    value = parent[key]
    if isinstance(value, bool) or value is None:
        parent[key] = not value
    elif isinstance(value, int):
        parent[key] = value + rng.choice((-2, -1, 1, 2, 1000, 10**6, 10**9, 10**12))
    elif isinstance(value, float):
        parent[key] = value * rng.choice((-1.0, 0.1, 10.0, 1e10, 1e300))
    elif isinstance(value, str):
        parent[key] = mutated_text(rng, value)
    else:
        parent[key] = [value]


def _delete(rng: random.Random, parent: Any, key: Any) -> None:
    if isinstance(parent, dict) or len(parent) > 1:
        del parent[key]


def _rename(rng: random.Random, parent: Any, key: Any) -> None:
    if isinstance(parent, dict):
        parent[mutated_text(rng, key)] = parent.pop(key)


def _repeat(rng: random.Random, parent: Any, key: Any) -> None:
    """Repeats an item many times, for long lists and objects with many keys."""
    count = rng.choice((2, 13, 300))
    if isinstance(parent, list):
        parent[key:key] = [copy.deepcopy(parent[key]) for _ in range(count)]
    else:
        parent |= {f"{key}{number}": copy.deepcopy(parent[key]) for number in range(count)}


def _swap(rng: random.Random, parent: Any, key: Any) -> None:
    other = rng.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    parent[key], parent[other] = parent[other], parent[key]


_JSON_CHANGES = (_replace, _replace, _replace_raw, _nudge, _nudge, _delete, _rename, _repeat, _swap)


def _with_a_key_twice(rng: random.Random, text: str) -> str:
    place = text.find("{", rng.randrange(len(text) + 1))
    return text if place < 0 else text[: place + 1] + '"name": 1, "kind": 0, "name": [], ' + text[place + 1 :]


def _spliced(rng: random.Random, data: bytearray, other: bytes) -> bytearray:
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _flip(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 1, 8)) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _overwrite(rng: random.Random, data: bytearray) -> None:
    place, token = rng.randint(0, len(data)), rng.choice(TOKENS)
    data[place : place + len(token)] = token


def _insert(rng: random.Random, data: bytearray) -> None:
    place = rng.randint(0, len(data))
    data[place:place] = rng.choice((rng.choice(TOKENS), rng.randbytes(rng.randint(1, 16))))


def _remove(rng: random.Random, data: bytearray) -> None:
    place = rng.randint(0, len(data))
    del data[place : place + rng.choice((1, 4, 100))]


def _double(rng: random.Random, data: bytearray) -> None:
    place, length = rng.randint(0, len(data)), rng.choice((1, 4, 8, 100))
    data[place:place] = data[place : place + length]


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[rng.randint(0, len(data)) :]


_BYTE_CHANGES: tuple[Callable[[random.Random, bytearray], None], ...] = (
    _flip, _flip, _flip, _overwrite, _insert, _remove, _double, _truncate
)  # fmt: skip
