"""Submits a raynas command as a Ray job and follows it to its end, over a connection that may drop."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ray.job_submission import JobStatus, JobSubmissionClient

TOO_LARGE = re.compile(r"exceeds the maximum size|maximum request body size|too large", re.IGNORECASE)
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two attempts; the pause doubles from the first to the longest."""

Answer = TypeVar("Answer")


class Refused(Exception):
    """The command can't be run as asked; the message tells what to do, `code` is the exit code."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


def connect(address: str, retry_seconds: float) -> JobSubmissionClient:
    """A client of a cluster that answers, accepts the token and runs this version of Ray."""
    # Ray reads the mode once, when it is imported. Its client prefers the two variables to the address it is
    # given.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)
    check_token()
    import ray
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    # Ray logs every file that it uploads or leaves out.
    for name in ("", ".dashboard.modules.dashboard_sdk", ".dashboard.modules.job.sdk"):
        logging.getLogger(f"ray{name}").setLevel(logging.ERROR)

    def reach() -> JobSubmissionClient:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        # Ray's requests have no timeout: without this a host that drops packets would block forever.
        socket.create_connection((str(parts.hostname), port), timeout=10).close()
        return JobSubmissionClient(address)

    try:
        client = retried(reach, retry_seconds)
    except AuthenticationError as error:
        mode = os.environ["RAY_AUTH_MODE"]
        fault = (
            "does not accept this token" if mode == "token" else f"needs a token, and RAY_AUTH_MODE={mode}"
        )
        raise Refused(
            f"{address} {fault}. Set RAY_AUTH_MODE=token, and copy the cluster's token to "
            "~/.ray/auth_token, or to a file that RAY_AUTH_TOKEN_PATH names."
        ) from error
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise Refused(
            f"No Ray dashboard answers at {address}: {error}. Is the cluster up ('ray up', 'ray start "
            "--head'), and the tunnel open ('ray dashboard', 'ssh -L', 'kubectl port-forward')?"
        ) from error
    if client._server_ray_version != ray.__version__:
        raise Refused(
            f"The cluster runs Ray {client._server_ray_version}, this is Ray {ray.__version__}. Install "
            f"ray=={client._server_ray_version} here, or start the cluster with {ray.__version__}."
        )
    return client


def check_token() -> None:
    """Refuses without a token and says what to do; Ray itself would abort the process."""
    if os.environ["RAY_AUTH_MODE"] != "token" or os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if not (path.is_file() and os.access(path, os.R_OK) and path.stat().st_size):
        raise Refused(
            f"There is no token in {path}. Copy the cluster's there, or name its file in "
            "RAY_AUTH_TOKEN_PATH; for a new cluster make one: ray get-auth-token --generate > /dev/null."
        )


def submit(
    client: JobSubmissionClient, job: str, entrypoint: str, environment: dict[str, Any], retry_seconds: float
) -> None:
    """Submits the job, and again if the answer is lost.

    Args:
        job: id of the job, which makes a repeated submission harmless.
        environment: Ray's runtime_env.
        retry_seconds: seconds to go on trying.
    """

    def attempt() -> None:
        try:
            client.submit_job(entrypoint=entrypoint, submission_id=job, runtime_env=environment)
        except RuntimeError as error:
            # If it exists, an earlier attempt has reached the cluster, and only its answer was lost.
            if f"{job} already exists" not in str(error):
                raise

    try:
        retried(attempt, retry_seconds)
    except (OSError, RuntimeError, ValueError) as error:
        if TOO_LARGE.search(str(error)):
            folder = Path(environment["working_dir"])
            raise Refused(
                f"{folder} is too large to upload; Ray takes 100 MiB. The largest in it: {largest(folder)}. "
                "Leave out what the job does not need (--exclude '/NAME/'); data belongs on shared storage."
            ) from error
        raise Refused(f"The cluster did not take the job: {error}") from error


def watch(client: JobSubmissionClient, job: str, retry_seconds: float) -> int:
    """Prints the job's log until it ends, or stops it on Ctrl-C. Returns the exit code."""
    log = JobLog(client, job)
    try:
        status = follow(client, log, retry_seconds)
    except KeyboardInterrupt:
        return stop(client, job, retry_seconds, log)
    say(f"Job {job}: {status.value}")
    return 0 if status.value == "SUCCEEDED" else 1


def stop(client: JobSubmissionClient, job: str, retry_seconds: float, log: JobLog | None = None) -> int:
    """Stops the job and waits until it has stopped; a second Ctrl-C ends the wait. Returns the exit code."""
    say(f"Interrupted: stopping job {job}; finished children are kept.")
    try:
        retried(lambda: client.stop_job(job), retry_seconds)
        status = follow(client, log or JobLog(client, job), retry_seconds)
    except (KeyboardInterrupt, OSError, RuntimeError, Refused) as error:
        say(f"Job {job} may still be running ({type(error).__name__}). Look: ray job status {job}")
    else:
        say(f"Job {job}: {status.value}")
    return 130


def follow(client: JobSubmissionClient, log: JobLog, retry_seconds: float) -> JobStatus:
    """Prints the log until the job has ended, and connects again whenever the connection drops."""
    pause = FIRST_PAUSE
    while True:
        num_before = log.num_printed
        # Returns when the job ends or the connection drops, so the status is asked for only then.
        is_complete = asyncio.run(log.print_new())
        try:
            status = retried(lambda: client.get_job_status(log.job), retry_seconds)
            if status.is_terminal():
                # The connection broke before the log's end: the rest is fetched in one piece.
                if not is_complete:
                    log.print_rest(retried(lambda: client.get_job_logs(log.job), retry_seconds))
                return status
        except (OSError, RuntimeError) as error:
            if "status code 404" in str(error):
                raise Refused(f"The cluster knows no job {log.job}: was its head restarted?", 1) from error
            raise Refused(
                f"Lost job {log.job}, which may still be running: {error}. Watch it again with "
                f"--follow {log.job}",
                code=1,
            ) from error
        # A connection that brought something was a good one, so the next try comes soon.
        pause = FIRST_PAUSE if log.num_printed > num_before else min(2 * pause, LONGEST_PAUSE)
        say(f"The log's connection dropped; connecting again in {pause:g} s.")
        time.sleep(pause)


class JobLog:
    """Prints the log of a job, each character once, although every connection sends it from the start."""

    def __init__(self, client: JobSubmissionClient, job: str) -> None:
        self.client = client
        self.job = job
        self.num_printed = 0

    async def print_new(self) -> bool:
        """Prints until the job or the connection ends; returns whether it was the job."""
        import aiohttp

        num_received = 0
        try:
            async for text in self.client.tail_job_logs(self.job):
                # Every connection sends the log from its start: what was printed before is skipped, even
                # within a piece.
                self._print(text[max(0, self.num_printed - num_received) :])
                num_received += len(text)
        except (OSError, RuntimeError, aiohttp.ClientError):
            return False
        return True

    def print_rest(self, whole: str) -> None:
        """Prints what is not yet printed of the whole log."""
        self._print(whole[self.num_printed :])

    def _print(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            # Python flushes stdout when it exits, and must not fail then.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Refused(f"The log's reader has gone. Job {self.job} goes on.", code=1) from None
        self.num_printed += len(text)


def retried(request: Callable[[], Answer], retry_seconds: float) -> Answer:
    """The answer to a request, which is repeated after ever longer pauses while the cluster can't answer.

    Raises:
        OSError, RuntimeError: the last attempt failed, after `retry_seconds` seconds or for a lasting reason.
    """
    end = time.monotonic() + retry_seconds
    pause = FIRST_PAUSE
    while True:
        try:
            return request()
        except (OSError, RuntimeError) as error:
            if not is_passing(error) or time.monotonic() + pause > end:
                raise
            say(f"No answer ({first_line(error)}); trying again in {pause:g} s.")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed later: there was no connection, or the server had an error."""
    if TOO_LARGE.search(str(error)):
        return False
    # Ray's client puts the server's status into the text. 500 to 599 are errors of the server, which may
    # pass.
    return isinstance(error, OSError) or "status code 5" in str(error)


def largest(folder: Path) -> str:
    """The three largest entries of a folder, with their sizes."""
    sizes = {entry.name: _size(entry) for entry in folder.iterdir()}
    top = sorted(sizes, key=lambda name: -sizes[name])[:3]
    return ", ".join(f"{name} ({sizes[name] / 2**20:.0f} MiB)" for name in top)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


def first_line(error: Exception) -> str:
    """The first line of an error's text, at most 200 characters, or its type if it has no text."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def say(text: str) -> None:
    """Prints to stderr: stdout is the job's."""
    print(text, file=sys.stderr, flush=True)
