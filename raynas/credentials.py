"""What is written down or printed of a user's settings, without the secrets in their URIs. Pure Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# A password in a database's URI may hold a slash or an at sign: it goes up to the last '@' of the word.
_USER = re.compile(r"(?<=://)(?:[^\s/:]+:\S*|[^\s/]*)@")
_QUERY_SECRET = re.compile(r"([?&][^=&\s]*(?:password|pwd|token|secret|key)[^=&\s]*=)[^&\s]+", re.IGNORECASE)


def without_credentials(text: str) -> str:
    """`text` with user, password and secret query fields taken out of every URI in it."""
    return _QUERY_SECRET.sub(r"\1***", _USER.sub("", text))


def scrubbed(value: Any) -> Any:
    """`value` with the credentials of every URI in it taken out, however deep."""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, Mapping):
        return {str(key): scrubbed(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(below) for below in value]
    return value
