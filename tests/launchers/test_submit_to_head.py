"""launchers/submit.py against a real head: jobs that end, a dropped connection, Ctrl-C, refused tokens."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .head_process import Head, Proxy, running_head

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SUBMIT = Path(__file__).parents[2] / "launchers" / "submit.py"
TINY = ["--data", "digits", "--epochs", "1", "--workers", "1"]
TINY += ["--set=network.filters=4", "--set=tracking.enabled=false", "--set=workers.gpus=0"]
SEARCH = ["search", *TINY, "--strategy", "random", "--set=space.num_blocks=1"]
# Each command's words without --out, and what it leaves there.
JOBS = {
    "search": ([*SEARCH, "--children", "2"], "best_genotype.json"),
    "train": (["train", "nasnet_a", *TINY, "--set=network.cells_per_stack=1"], "curve.jsonl"),
}


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    # The head claims a GPU, for which --gpus waits.
    with running_head(cpus=2, gpus=1) as head:
        yield head


@pytest.fixture
def proxy(head: Head) -> Iterator[Proxy]:
    proxy = Proxy(head.port)
    yield proxy
    proxy.close()


def submit(
    head: Head,
    *words: str,
    port: int | None = None,
    at: tuple[str, Callable[[subprocess.Popen[str]], None]] | None = None,
    **environment: str,
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr; `at` is called with the process at the first line with a text in it."""
    command = [sys.executable, str(SUBMIT), "--address", f"http://127.0.0.1:{port or head.port}", *words]
    with subprocess.Popen(
        command,
        env=head.environment | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            out = []
            for line in process.stdout:
                out.append(line)
                if at is not None and at[0] in line:
                    at[1](process)
                    at = None
            return process.wait(), "".join(out), process.stderr.read()
        finally:
            process.kill()


@pytest.mark.parametrize("name", JOBS)
def test_a_job_ends_in_success_over_a_connection_that_drops(head: Head, proxy: Proxy, tmp_path, name):
    words, left = JOBS[name]
    out_folder = tmp_path / "run"
    command = ["--gpus", "1", "--", *words, "--out", str(out_folder)]
    drop = (f"{out_folder}", lambda process: proxy.drop())
    code, out, error = submit(head, *command, port=proxy.port, at=drop)
    assert code == 0, out + error
    assert "SUCCEEDED" in error and "connection dropped" in error
    assert (out_folder / left).is_file()
    lines = [line for line in out.splitlines() if line.strip()]
    assert len(lines) == len(set(lines)), out
    assert head.token not in out + error


def test_a_job_that_fails_ends_with_1_and_shows_why(head: Head, tmp_path):
    # Ray's client would prefer RAY_ADDRESS to the address that it is given.
    code, out, error = submit(head, "--", "leaderboard", str(tmp_path), RAY_ADDRESS="ray://127.0.0.1:1")
    assert code == 1
    assert "holds no run" in out and "FAILED" in error


def test_ctrl_c_stops_the_search_which_keeps_what_it_has(head: Head, tmp_path):
    interrupt = ("child done", lambda process: process.send_signal(signal.SIGINT))
    words = [*SEARCH, "--children", "10000", "--out", str(tmp_path / "run")]
    code, out, error = submit(head, "--", *words, at=interrupt)
    assert code == 130, out + error
    assert "STOPPED" in error
    assert "--resume" in out
    assert (tmp_path / "run" / "journal.jsonl").is_file()


def test_a_wrong_token_is_refused(head: Head, tmp_path):
    (tmp_path / "token").write_text("0" * 64)
    code, _, error = submit(head, "--", "spaces", RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    assert code == 2
    assert "does not accept this token" in error


def test_an_address_where_nobody_answers_is_named(head: Head):
    code, _, error = submit(head, "--patience", "2", "--", "spaces", port=1)
    assert code == 2
    assert "No Ray dashboard answers at http://127.0.0.1:1" in error


def test_the_cluster_tells_nothing_without_the_token_and_never_the_token(head: Head):
    jobs = f"http://127.0.0.1:{head.port}/api/jobs/"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(jobs)
    request = urllib.request.Request(jobs, headers={"Authorization": f"Bearer {head.token}"})
    with urllib.request.urlopen(request) as answer:
        text = answer.read().decode()
    assert "python -m raynas" in text
    assert head.token not in text
