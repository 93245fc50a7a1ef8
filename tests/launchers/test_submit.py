"""submit.py without a cluster: a stand-in for Ray's client drops connections, loses answers and ends jobs."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import ray_job
import submit
from ray.job_submission import JobStatus

CHECKOUT = Path(__file__).parents[2]
LOG = "one\ntwo\nthree\nfour\n"


class Client:
    """A client of a cluster with one job. Its log breaks off after each number of characters in `cuts`."""

    def __init__(
        self, *cuts: int, end: str = "SUCCEEDED", answers: tuple[Exception | None, ...] = ()
    ) -> None:
        self.cuts = list(cuts)
        self.end = JobStatus(end)
        self.answers = list(answers)
        self.submitted: list[dict[str, object]] = []
        self.is_stopped = False

    def submit_job(self, **job: object) -> None:
        self.submitted.append(job)
        if self.answers and (error := self.answers.pop(0)):
            raise error

    def stop_job(self, job: str) -> bool:
        self.is_stopped = True
        return True

    def get_job_status(self, job: str) -> JobStatus:
        if self.is_stopped:
            return JobStatus.STOPPED
        return JobStatus.RUNNING if self.cuts else self.end

    def get_job_logs(self, job: str) -> str:
        return LOG

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        text = LOG[: self.cuts[0]] if self.cuts else LOG
        for start in range(0, len(text), 5):
            yield text[start : start + 5]
        if self.cuts:
            self.cuts.pop(0)
            raise RuntimeError("WebSocket connection closed unexpectedly with close code 1006")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def watch(client: Any) -> int:
    return ray_job.watch(client, "job", retry_seconds=60)


def submit_to(client: Any, environment: dict[str, Any] | None = None) -> None:
    ray_job.submit(client, "job", "true", environment or {}, retry_seconds=60)


def options(*arguments: str) -> argparse.Namespace:
    return submit.parse(arguments)


@pytest.mark.parametrize("cuts", [(), (7,), (3, 3, 12), (0, 19)])
def test_a_log_over_a_dropping_connection_is_printed_once(capsys, cuts):
    assert watch(Client(*cuts)) == 0
    assert capsys.readouterr().out == LOG


def test_the_rest_of_a_log_whose_last_connection_dropped_is_fetched(monkeypatch, capsys):
    client = Client(7)
    monkeypatch.setattr(client, "get_job_status", lambda job: JobStatus.FAILED)
    assert watch(client) == 1
    assert capsys.readouterr().out == LOG


def test_pauses_grow_while_nothing_comes_and_start_again_when_something_does(pauses):
    watch(Client(0, 0, 0, 8, 8))
    assert pauses == [2, 4, 8, 1]


@pytest.mark.parametrize(("end", "code"), [("SUCCEEDED", 0), ("FAILED", 1), ("STOPPED", 1)])
def test_the_exit_code_says_how_the_job_ended(end, code):
    assert watch(Client(end=end)) == code


def test_ctrl_c_stops_the_job_and_waits_for_its_end(monkeypatch, capsys):
    client = Client(7, 7)

    def interrupted(seconds: float) -> None:
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    assert watch(client) == 130
    assert client.is_stopped
    assert capsys.readouterr().out == LOG


def test_a_submission_is_repeated_until_an_agent_is_there(pauses):
    busy = RuntimeError("Request failed with status code 500: No available agent to submit job")
    client = Client(answers=(busy, ConnectionError("reset"), None))
    submit_to(client)
    assert len(client.submitted) == 3
    assert pauses == [1, 2]


def test_a_lost_answer_does_not_start_a_second_job():
    there = RuntimeError("Request failed with status code 500: Job with submission_id job already exists.")
    client = Client(answers=(ConnectionError("reset"), there))
    submit_to(client)
    assert [job["submission_id"] for job in client.submitted] == ["job", "job"]


def test_a_request_that_is_wrong_is_not_repeated():
    client = Client(answers=(RuntimeError("Request failed with status code 400: no"),))
    with pytest.raises(ray_job.Refused, match="did not take the job"):
        submit_to(client)
    assert len(client.submitted) == 1


def test_a_folder_that_is_too_large_is_named_with_what_is_large_in_it(tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(3 * 2**20))
    error = RuntimeError("Request failed with status code 500: Maximum request body size 104857600 exceeded")
    with pytest.raises(ray_job.Refused, match=r"weights\.bin \(3 MiB\).*--exclude"):
        submit_to(Client(answers=(error,)), {"working_dir": str(tmp_path)})


def test_retries_end_after_the_given_time(monkeypatch):
    seconds = iter(range(0, 1000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    with pytest.raises(ConnectionError):
        ray_job.retried(lambda: (_ for _ in ()).throw(ConnectionError("refused")), retry_seconds=60)


REFUSED = [
    (["--", "search", "--data", "digits"], "--out with an absolute path"),
    (["--", "promote", "/runs/search", "--top", "250"], "--out with an absolute path"),
    (["--", "train", "nasnet_a", "--out", "runs/one"], "--out with an absolute path"),
    (["--", "auto", "--data", "/data", "--hours", "1"], "--out with an absolute path"),
    (["--", "detect", "nasnet_a", "--data", "/data"], "--out with an absolute path"),
    (["--env", "WANDB_API_KEY=1", "--", "spaces"], "looks like a secret"),
    (["--env", "HF_TOKEN=1", "--", "spaces"], "looks like a secret"),
    (["--env", "OPENAI_APIKEY=1", "--", "spaces"], "looks like a secret"),
    (["--env", "DB_PASS=1", "--", "spaces"], "looks like a secret"),
    (["--env", "AUTH_KEY_2=1", "--", "spaces"], "looks like a secret"),
    (["--env", "MLFLOW_TRACKING_URI=https://me:pass@host", "--", "spaces"], "looks like a secret"),
    (["--env", "PLAIN", "--", "spaces"], "not of the form NAME=VALUE"),
    (["--address", "ray://host:10001", "--", "spaces"], "not the address of a dashboard"),
    (["--address", "http://10.0.0.1:8265", "--", "spaces"], "unencrypted"),
    (["--working-dir", "nowhere", "--", "spaces"], "is no folder"),
    (["--gpus", "4", "--no-upload", "--", "spaces"], "leave --no-upload out"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=[" ".join(words) for words, _ in REFUSED])
def test_bad_usage_ends_with_code_2_before_anything_is_asked(monkeypatch, capsys, words, message):
    monkeypatch.setattr(submit, "connect", lambda *arguments: pytest.fail("connected"))
    monkeypatch.setattr(signal, "signal", lambda *arguments: None)
    assert submit.main(words) == 2
    assert message in capsys.readouterr().err


def test_without_a_command_the_usage_is_shown():
    with pytest.raises(SystemExit) as ended:
        submit.main([])
    assert ended.value.code == 2


def test_the_entrypoint_is_raynas_quoted_for_a_shell_after_the_gpus_if_asked():
    words = ("leaderboard", "/runs/a b", "--top", "250")
    assert submit.entrypoint_of(options("--", *words)) == "python -m raynas leaderboard '/runs/a b' --top 250"
    entrypoint = submit.entrypoint_of(options("--gpus", "4", "--", "search", "--out=/runs/one"))
    assert entrypoint == "python launchers/with_gpus.py 4 -- python -m raynas search --out=/runs/one"


def test_the_job_gets_the_tracking_server_and_never_the_token(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "the-token")
    environment = submit.runtime_env(options("--env", "A=b=c", "--exclude", "/big/", "--", "spaces"))
    assert (
        environment["env_vars"].items()
        >= {
            "A": "b=c",
            "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
            "MLFLOW_EXPERIMENT_NAME": "mine",
        }.items()
    )
    assert environment["env_vars"]["RAY_AUTH_MODE"] == "token"
    assert "the-token" not in str(environment)
    assert "/big/" in environment["excludes"] and environment["working_dir"] == str(CHECKOUT)
    assert set(submit.runtime_env(options("--no-upload", "--", "spaces"))) == {"env_vars"}


def test_a_store_on_this_machine_is_not_passed_on(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    assert "MLFLOW_TRACKING_URI" not in submit.runtime_env(options("--", "spaces"))["env_vars"]


def test_a_missing_token_is_explained(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(ray_job.Refused, match="ray get-auth-token --generate"):
        ray_job.check_token()
