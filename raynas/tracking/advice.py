"""What to do about an error of MLflow's store, by its cause."""

from __future__ import annotations

import re
from collections.abc import Iterator

from raynas.config import without_credentials

GENERAL = (
    "Correct the URI in tracking.uri or MLFLOW_TRACKING_URI, or set tracking.enabled=false. If both are "
    "unset, "
    "raynas writes a SQLite file of its own."
)
# The patterns are lower case, like the text that they are looked for in. Linux numbers its errors: 1 EPERM,
# 13 EACCES, 28 ENOSPC, 30 EROFS, 110 ETIMEDOUT, 111 ECONNREFUSED, 113 EHOSTUNREACH, 122 EDQUOT.
ADVICE = (
    (
        r"no space left|disk is full|disk quota|errno (28|122)\b",
        "The disk is full. Free some space there, or name a store on another disk in tracking.uri or "
        "MLFLOW_TRACKING_URI.",
    ),
    (
        r"can't locate revision|out-of-date database schema",
        "Another version of MLflow made this database. If it was a newer one, install that version; if an "
        "older one, back the database up and run: mlflow db upgrade {uri}",
    ),
    (
        r"database is locked|database table is locked",
        "Another process is writing this database. Wait until it has ended, or stop it; for many writers at "
        "a time, start an MLflow server and name it in MLFLOW_TRACKING_URI.",
    ),
    (
        r"not a database|malformed|file is encrypted",
        "This file is damaged or is no SQLite database. Restore it, move it away so that a new one is "
        "made, or "
        "name another store in tracking.uri or MLFLOW_TRACKING_URI.",
    ),
    (
        r"permission denied|read-?only|operation not permitted|errno (1|13|30)\b",
        "You may not write there. Change the permissions, or name a store that you may write in tracking.uri "
        "or MLFLOW_TRACKING_URI.",
    ),
    (
        r"error code 40[13]|\b40[13]\b.*(client error|unauthori|forbidden)|unauthori[sz]ed"
        r"|authentication failed"
        r"|access denied|credentials",
        "The store refuses these credentials. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
        "MLFLOW_TRACKING_TOKEN; a database takes them in the URI, a store of artifacts in its own variables.",
    ),
    (
        r"no module named|can't load plugin|nosuchmodule",
        "The driver of this kind of database isn't installed, or its name is misspelt. Install it with "
        "pip, or "
        "correct the URI in tracking.uri or MLFLOW_TRACKING_URI.",
    ),
    (
        r"registry for scheme|unsupported uri|invalid.*uri|uri.*invalid|no.*registered.*scheme"
        r"|could not find a reg"
        r"|could not parse|port could not be cast|port out of range",
        "MLflow knows no such URI. Use http://HOST:PORT, https://HOST, sqlite:///FILE or a database's URI in "
        "tracking.uri or MLFLOW_TRACKING_URI.",
    ),
    (
        r"ssl|certificate|tls",
        "The encrypted connection failed. Compare http:// and https:// in the URI with what the server "
        "offers; for "
        "a certificate of your own, set MLFLOW_TRACKING_SERVER_CERT_PATH.",
    ),
    (
        r"resolve|name or service not known|translate host name|getaddrinfo",
        "No machine has this name. Correct the host in tracking.uri or MLFLOW_TRACKING_URI, or connect "
        "to its "
        "network.",
    ),
    (
        r"connection refused|errno 111\b",
        "Nothing listens on this host and port. Start that server, or correct the port in tracking.uri or "
        "MLFLOW_TRACKING_URI.",
    ),
    (
        r"timed? ?out|unreachable|errno 11[03]\b",
        "The server doesn't answer in time. See whether it runs and whether a firewall is in between; "
        "MLFLOW_HTTP_REQUEST_TIMEOUT sets the seconds that are waited.",
    ),
    (
        r"error code 404|not a valid json|expecting value|invalid http|badstatusline|connection aborted",
        "What answers at this address is no MLflow server. Correct the host, port and path in "
        "tracking.uri or "
        "MLFLOW_TRACKING_URI.",
    ),
    (
        r"error code (429|5\d\d)|too many 5|internal server error",
        "The server answers with an error of its own. Look at its log, and try again once it is sound.",
    ),
    (
        r"database .* does not exist|unknown database",
        "Create this database first, or correct its name in tracking.uri or MLFLOW_TRACKING_URI.",
    ),
    (
        r"no such file|not a directory|is a directory|unable to open database|file exists",
        "A folder of this path is missing or is a file. Create it, or correct the path in tracking.uri or "
        "MLFLOW_TRACKING_URI.",
    ),
)
"""What an error says of its cause, and the advice; the first that fits."""


def advice(error: BaseException, uri: str) -> str:
    """What the user can do about an error of the store."""
    text = " ".join(_texts(error)).lower()
    found = next((words for pattern, words in ADVICE if re.search(pattern, text)), GENERAL)
    return found.format(uri=without_credentials(uri)) if "{uri}" in found else found


def _texts(error: BaseException | None) -> Iterator[str]:
    """The error and its causes: MLflow wraps most errors in its own."""
    while error is not None:
        yield f"{type(error).__name__} {error}"
        # The context too: an error that was raised in an except block without `from` has no cause.
        error = error.__cause__ or error.__context__
