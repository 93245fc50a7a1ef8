"""Runs a raynas command as a Ray job: uploads the checkout, follows the log, and stops the job on Ctrl-C.

    python launchers/submit.py --address http://127.0.0.1:8265 -- search --data /mnt/data --out /mnt/runs/one

The job's output goes to stdout, this program's own messages to stderr. Exit codes: 0 the job succeeded, 1 it
failed or was lost, 2 bad usage (nothing was started), 130 interrupted (the job is stopped).
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ray_job import Refused, connect, say, stop, submit, watch

_AROUND = Path(__file__).resolve().parents[1]
CHECKOUT = _AROUND if (_AROUND / "raynas" / "__init__.py").is_file() else None
"""What is uploaded by default. A copy of this file, and that of an installed raynas, lie in no checkout."""
PROGRAM = "python launchers/submit.py"
DEFAULT_ADDRESS = "http://127.0.0.1:8265"
# Not uploaded, beside what .gitignore names. A leading slash anchors a pattern, so that raynas/data is
# uploaded.
EXCLUDES = ["/.*/", "/runs/", "/data/", "/tests/", "/benchmarks/", ".env", "auth_token", "*.pem", "*.key"]
JOB_ENV = {
    "PYTHONUNBUFFERED": "1",
    # Stopping the job acts like Ctrl-C: raynas closes its journal and its MLflow run, for which Ray's 3
    # seconds are too short.
    "RAY_JOB_STOP_SIGNAL": "SIGINT",
    "RAY_JOB_STOP_WAIT_TIME_S": "60",
}
TRACKING_VARIABLES = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_RUN_ID",
)
"""Passed on to the job if the store is a server, which the cluster can reach."""
WRITES_A_RUN = ("auto", "search", "promote", "train", "detect")
SECRET = re.compile(r"TOKEN|SECRET|PASSW|(^|_)PASS($|_)|CREDENTIAL|API_?KEY|(^|_)KEY($|_)", re.IGNORECASE)


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Runs the program, which messages call `program`; returns the exit code."""
    options = parse(arguments, program)
    # A program started in the background of a script inherits that SIGINT is ignored.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.default_int_handler)
    try:
        check_address(options.address, options.plain_http)
        if options.follow:
            return watch(
                connect(options.address, options.retry_seconds), options.follow, options.retry_seconds
            )
        entrypoint, environment = entrypoint_of(options), runtime_env(options)
        return run(options, entrypoint, environment)
    except Refused as refusal:
        say(f"Error: {refusal}")
        return refusal.code
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130


def parse(arguments: Sequence[str] | None, program: str = PROGRAM) -> argparse.Namespace:
    """The options of the command line. Wrong ones end the program with exit code 2."""
    parser = argparse.ArgumentParser(
        prog=program, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(program=program)
    add = parser.add_argument
    add("command", nargs="*", help="after --: a raynas command, such as: search --data DIR --out DIR")
    add(
        "--address",
        default=os.environ.get("RAY_API_SERVER_ADDRESS", DEFAULT_ADDRESS),
        help="address of the dashboard",
    )
    add(
        "--working-dir",
        type=Path,
        default=CHECKOUT,
        help="what is uploaded; default: the checkout around this program, or else nothing",
    )
    add("--exclude", action="append", default=[], help="not uploaded: a pattern as in .gitignore; repeatable")
    add("--no-upload", action="store_true", help="run the raynas that is installed on the cluster")
    add(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="for the job; no secrets; repeatable"
    )
    add("--gpus", type=int, help="number of GPUs that the autoscaler provides first, and releases at the end")
    add("--detach", action="store_true", help="do not wait for the job")
    add("--follow", metavar="JOB", help="watch a job that was submitted before; Ctrl-C stops it")
    add(
        "--patience",
        dest="retry_seconds",
        metavar="SECONDS",
        type=float,
        default=60,
        help="how long to go on trying a cluster that does not answer",
    )
    add("--plain-http", action="store_true", help="allow http:// to another machine, which exposes the token")
    options = parser.parse_args(arguments)
    if bool(options.command) == bool(options.follow):
        parser.error("give a raynas command after --, or --follow JOB")
    return options


def check_address(address: str, plain_http: bool) -> None:
    """Refuses an address that is no dashboard's, or to which the token would go unencrypted."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"--address {address!r} is not the address of a dashboard, such as {DEFAULT_ADDRESS}.")
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1") and not plain_http:
        raise Refused(
            f"{address} is another machine, and http:// would send the token there unencrypted. Open a "
            f"tunnel (ssh -L 8265:127.0.0.1:8265 HOST) and use {DEFAULT_ADDRESS}, or give https://, or "
            "--plain-http."
        )


def entrypoint_of(options: argparse.Namespace) -> str:
    """The shell command of the job."""
    command = options.command
    # Joined by NUL, which no argument can hold, so that one pattern finds both '--out X' and '--out=X'.
    out = re.search(r"(?:^|\0)--out[=\0]([^\0]+)", "\0".join(command))
    if command[0] in WRITES_A_RUN and not (out and Path(out[1]).is_absolute()):
        raise Refused(
            "A job runs in a folder of the cluster that Ray deletes. Give --out with an absolute path on "
            "storage that outlives the cluster, such as --out /mnt/runs/one."
        )
    entrypoint = ["python", "-m", "raynas", *command]
    if options.gpus is not None:
        if uploads_nothing(options):
            raise Refused(
                "--gpus uses launchers/with_gpus.py of the upload: leave --no-upload out, and give a "
                "checkout in --working-dir."
            )
        entrypoint = ["python", "launchers/with_gpus.py", str(options.gpus), "--", *entrypoint]
    return shlex.join(entrypoint)


def uploads_nothing(options: argparse.Namespace) -> bool:
    """Whether the raynas that is installed on the cluster is run."""
    return options.no_upload or options.working_dir is None


def runtime_env(options: argparse.Namespace) -> dict[str, Any]:
    """Ray's runtime_env of the job. Anyone who can see the dashboard can read it: no secrets."""
    variables = dict(JOB_ENV)
    if os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http"):
        variables |= {name: os.environ[name] for name in TRACKING_VARIABLES if name in os.environ}
    for assignment in options.env:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise Refused(f"--env {assignment!r} is not of the form NAME=VALUE.")
        variables[name] = value
    for name, value in variables.items():
        if SECRET.search(name) or ("://" in value and urlsplit(value).password):
            raise Refused(
                f"{name} looks like a secret, and a job's environment is shown in the dashboard. Put it into "
                "a file or the environment of the cluster's nodes instead."
            )
    # Set last: the job must talk to its cluster in the mode in which this program does.
    variables["RAY_AUTH_MODE"] = os.environ.get("RAY_AUTH_MODE", "token")
    if uploads_nothing(options):
        return {"env_vars": variables}
    if not options.working_dir.is_dir():
        raise Refused(f"--working-dir {options.working_dir} is no folder.")
    excludes = [*EXCLUDES, *options.exclude]
    return {"env_vars": variables, "working_dir": str(options.working_dir), "excludes": excludes}


def run(options: argparse.Namespace, entrypoint: str, environment: dict[str, Any]) -> int:
    """Submits the job and follows it to its end. Returns the exit code."""
    client = connect(options.address, options.retry_seconds)
    # With an id chosen here, a repeated submission after a lost answer does not start a second job.
    job = f"raynas-{options.command[0]}-{uuid.uuid4().hex[:8]}"
    try:
        submit(client, job, entrypoint, environment, options.retry_seconds)
    except KeyboardInterrupt:
        return stop(client, job, options.retry_seconds)
    say(f"Job {job}: {entrypoint}")
    if options.detach:
        say(f"Follow it with: {options.program} --address {options.address} --follow {job}")
        return 0
    return watch(client, job, options.retry_seconds)


if __name__ == "__main__":
    sys.exit(main())
