"""What to do when Ray doesn't start here, or a cluster can't be connected to."""

from __future__ import annotations

import errno
import os
import re

from ray.exceptions import AuthenticationError

from raynas.engine.ray_folder import folder_advice, folder_fault, ray_folder
from raynas.errors import UsageError, shortened

MAX_CHARACTERS = 600
"""Characters of Ray's own text that a message shows; a log's last lines may be in it."""
_FOLDER = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
_PORT = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)
_LIMITS = {
    errno.EMFILE: "Allow more open files: ulimit -n 65536",
    errno.ENFILE: "The machine has too many files open: end other programs",
    errno.EAGAIN: "The system starts no more processes: end other programs, or raise 'ulimit -u'",
    errno.ENOMEM: "The system has no memory left: end other programs, or ask for a job with more memory",
}
_REFUSED_TOKEN = "InvalidAuthToken"
"""In the text of a head that got no token, or another one; Ray raises it as a lost connection."""
_RAYS_ADVICE = " Ensure that the token for the cluster"
"""How Ray's advice at an AuthenticationError begins, for which raynas has its own."""
_GCS_PORT = "RAY_GCS_SERVER_PORT"


def local_error(error: Exception) -> UsageError:
    """The error for a Ray that didn't start on this machine."""
    return UsageError(f"Ray can't be started on this machine: {_text(error)}\n{_local_advice(error)}.")


def cluster_error(error: Exception, address: str, *, is_from_environment: bool) -> UsageError:
    """The error for a cluster that can't be connected to.

    Args:
        is_from_environment: whether RAY_ADDRESS named the address, and not the user's command.
    """
    source = "RAY_ADDRESS" if is_from_environment else "--address"
    return UsageError(
        f"There is no Ray cluster at {address!r} ({source}) that can be used: {_text(error)}\n"
        f"{_cluster_advice(error, address)}."
    )


def _local_advice(error: Exception) -> str:
    # From the surest sign to the vaguest: the number of the system's error comes before words in Ray's text.
    code = _code(error)
    if isinstance(error, AuthenticationError) or os.path.expanduser("~/.ray") in str(error):
        return (
            "Ray keeps its token in ~/.ray/auth_token. Make that file readable and its folder writable, or "
            "set RAY_AUTH_TOKEN_PATH to a file that holds a token"
        )
    if code in _LIMITS:
        return _LIMITS[code]
    if code in _PORT or _is_about_a_port(str(error)):
        return _port_advice()
    fault = folder_fault()
    if fault is not None:
        return f"{fault}. {folder_advice()}"
    if code in _FOLDER or "AF_UNIX" in str(error) or str(ray_folder()) in str(getattr(error, "filename", "")):
        return folder_advice()
    if _is_late(error):
        return (
            "Ray's processes did not answer in time: this machine is busy, or has too little memory. Start "
            f"again when less is running on it; the logs in {_logs()} say what Ray was doing"
        )
    return f"The logs in {_logs()} may say more. 'raynas doctor' checks this machine{_variables_set()}"


def _cluster_advice(error: Exception, address: str) -> str:
    text = _text(error)
    if isinstance(error, AuthenticationError) or _REFUSED_TOKEN in text:
        return _token_advice(error)
    if "Version mismatch" in text:
        return "Use the Ray and Python here that the cluster's nodes have"
    if _code(error) in _LIMITS:
        return _LIMITS[_code(error) or 0]
    if _code(error) in _FOLDER:
        return "Run as the user who started Ray on this machine, or get that user to let you use its files"
    if "resolve node to connect to" in text:
        return (
            "This machine must be one of the cluster's nodes: start Ray on it with "
            f"'ray start --address={address}', or send the command to the head with 'raynas submit'"
        )
    if _is_late(error):
        return (
            f"If its head is still starting, wait until 'ray status --address {address}' answers, then start "
            "again; otherwise correct --address or RAY_ADDRESS"
        )
    return (
        "Start one with 'ray start --head', give its address as HOST:PORT in --address or RAY_ADDRESS, or "
        "leave both out to use this machine"
    )


def _token_advice(error: Exception) -> str:
    # The head's mode doesn't matter: one that was started without a token takes programs that have one.
    place = "in ~/.ray/auth_token, or in a file that RAY_AUTH_TOKEN_PATH names, or in RAY_AUTH_TOKEN"
    there = "'ray get-auth-token' prints it on the head, and with --generate makes one for a new cluster"
    if isinstance(error, AuthenticationError):
        return f"RAY_AUTH_MODE=token asks for the cluster's token, {place}. {there}"
    mode = os.environ.get("RAY_AUTH_MODE")
    if (mode or "").lower() != "token":
        shown = f"RAY_AUTH_MODE is {mode!r}" if mode else "RAY_AUTH_MODE is not set"
        start = f"The cluster asks for a token, and {shown} here. Set RAY_AUTH_MODE=token"
        return f"{start}, with the token {place}. {there}"
    return f"The token here is not the cluster's. Put that {place}. {there}"


def _is_about_a_port(text: str) -> bool:
    # Only where the user has chosen its port can that of the GCS, Ray's first server, be taken.
    return bool(re.search(r"\bport\b", text)) or (_GCS_PORT in os.environ and "GCS" in text)


def _port_advice() -> str:
    taken = os.environ.get(_GCS_PORT)
    if taken is None:
        return "Another program holds a port that Ray needs: end it, or start again for other ports"
    return f"Another program may hold port {taken}. Unset {_GCS_PORT}, and Ray takes a free one"


def _is_late(error: Exception) -> bool:
    text = _text(error).lower()
    return any(word in text for word in ("timed out", "timeout", "deadline", "failed to connect to gcs"))


def _code(error: Exception) -> int | None:
    """The number of the system's error, which Ray may have put into words."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = _text(error)
    return next((code for code in (*_FOLDER, *_PORT, *_LIMITS) if os.strerror(code) in text), None)


def _text(error: BaseException) -> str:
    """Ray's own words, with those of the error behind it, which often has the cause."""
    # Ray puts the traceback of an earlier error into its text; the last line has what was wrong.
    before, traceback, rest = str(error).partition("Traceback (most recent call last)")
    told = before + rest.strip().rpartition("\n")[2] if traceback else before
    words = f"{type(error).__name__}: {told.partition(_RAYS_ADVICE)[0]}".strip().rstrip(".:")
    cause = f" ({_text(error.__cause__)})" if error.__cause__ is not None else ""
    return shortened(words, MAX_CHARACTERS) + cause


def _logs() -> str:
    return str(ray_folder() / "session_latest" / "logs")


def _variables_set() -> str:
    # Names alone: a token is among what may be set.
    names = sorted(name for name in os.environ if name.startswith("RAY_"))
    return f". Ray also reads {', '.join(names)}, of which one may be wrong" if names else ""
