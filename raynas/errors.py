"""All errors that raynas raises on purpose.

    RaynasError                    its message is complete: no traceback is needed to act on it
      UsageError (ValueError)      something the user gave; the command line exits with code 2
        UnknownName                a name that is not registered
        InvalidConfig              an option that is unknown or out of its bounds
        InvalidGenotype            a cell that breaks the rules of the cell language
        DataError                  a data set that can't be read
        WeightsError               weights that can't be fetched or read, or don't fit the network
        ModelError                 a trained network that can't be read or written
        RunFolderError             a run folder or journal that can't be used as asked
        DoesNotFit                 more resources than the cluster has
      SearchFailed                 a search could not continue; exit code 1
        JournalFailed              its journal can't be written
      TrainingFailed               a final training diverged or could not continue; exit code 1
      TrackingFailed               MLflow could not be brought up to date; exit code 1

Errors keep plain string arguments, so that they survive pickling between Ray actors.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RaynasError(Exception):
    """Base of all errors of raynas; str() is a sentence for the user."""


class UsageError(RaynasError, ValueError):
    """Something that the user gave can't be used."""


class InvalidConfig(UsageError):
    """A field is unknown or its value is out of bounds."""


class InvalidGenotype(UsageError):
    """A cell breaks the rules of the cell language."""


class DataError(UsageError):
    """A data set is missing, empty, corrupt or inconsistent."""


class WeightsError(UsageError):
    """Weights can't be fetched or read, or don't fit the network."""


class ModelError(UsageError):
    """A trained network on disk is missing, damaged or incomplete, or can't be written."""


class RunFolderError(UsageError):
    """A run folder or its journal can't be read, resumed or written as asked."""


class DoesNotFit(UsageError):
    """More resources were asked for than the cluster has."""


class SearchFailed(RaynasError):
    """A search started and could not continue."""


class JournalFailed(SearchFailed):
    """The journal of a run can't be written any more; what it holds is intact."""


class TrainingFailed(RaynasError):
    """A final training started and could not continue."""


class TrackingFailed(RaynasError):
    """MLflow stopped answering, or refused something, while a run was written to it."""


class UnknownName(UsageError):
    """A name is not registered; the message suggests the nearest known one."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        known = sorted(known)
        super().__init__(kind, name, known, hint)
        self.kind = kind
        self.name = name
        self.known = known
        self.hint = hint

    def __str__(self) -> str:
        listing = ", ".join(self.known) if self.known else "none"
        lines = [
            f"No {self.kind} is called {self.name!r}.{did_you_mean(self.name, self.known)} Known: {listing}."
        ]
        return "\n".join(lines + ([self.hint] if self.hint else []))


def shortened(text: str, length: int) -> str:
    """`text`, cut to `length` characters with '...' at its end if it is longer."""
    return text if len(text) <= length else text[: length - 3] + "..."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """' Did you mean ...?' for the nearest known name, or an empty string."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""
