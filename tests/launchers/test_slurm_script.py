"""The Slurm script, run by bash with stand-ins for srun, ray and python."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .head_process import WITH_SIGINT

CHECKOUT = Path(__file__).parents[2]
SCRIPT = CHECKOUT / "launchers" / "slurm" / "raynas.sbatch"
STAND_INS = {
    "srun": 'echo "srun $*" >> "$LOG"; while [ "$1" != ray ]; do shift; done; exec "$@"',
    # `ray start --block` stays until it is ended; `ray status` answers.
    "ray": 'echo "ray $*" >> "$LOG"; if [ "$1" = start ]; then exec sleep 600; fi',
    "python": """
echo "python $*" >> "$LOG"
case "$1" in
-c) echo -n the-token ;;
-m)
    stat -c '%a %n' "$(dirname "$RAY_AUTH_TOKEN_PATH")" "$RAY_AUTH_TOKEN_PATH" >> "$LOG"
    trap 'echo interrupted >> "$LOG"; exit 130' INT
    echo running
    if [ "$3" = search ]; then read -r _ < "$PIPE"; fi
    exit "${CODE:-0}" ;;
esac""",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    commands = tmp_path / "checkout" / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name, body in STAND_INS.items():
        (commands / name).write_text(f"#!/bin/bash\n{body}\n")
        (commands / name).chmod(0o755)
    os.mkfifo(tmp_path / "pipe")
    slurm = {"SLURM_JOB_ID": "77", "SLURM_JOB_NUM_NODES": "3", "SLURM_CPUS_PER_TASK": "8"}
    folders = {"SLURM_SUBMIT_DIR": str(tmp_path / "checkout"), "RAYNAS_PRIVATE": str(tmp_path)}
    files = {"LOG": str(tmp_path / "log"), "PIPE": str(tmp_path / "pipe")}
    return {"PATH": os.environ["PATH"], "RAYNAS_HEAD_IP": "10.0.0.1", **slurm, **folders, **files}


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(SCRIPT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_the_script_starts_a_head_and_workers_with_one_secret_token(environment):
    done = run(environment, "promote", "/runs/search", "--top", "250")
    assert done.returncode == 0, done.stderr
    log = Path(environment["LOG"]).read_text()
    assert "--head --node-ip-address=10.0.0.1 --port=20077 --dashboard-host=127.0.0.1" in log
    assert (
        "srun --overlap --nodes=2 --ntasks=2" in log and "start --address=10.0.0.1:20077 --num-cpus=8" in log
    )
    assert "python -m raynas promote /runs/search --top 250" in log
    modes = {Path(line.split()[1]).name: line.split()[0] for line in log.splitlines() if line[:3].isdecimal()}
    assert modes.pop("token") == "600"
    assert list(modes.values()) == ["700"]
    assert "the-token" not in log + done.stdout + done.stderr


def test_the_exit_code_is_the_commands_and_nothing_is_left(environment):
    assert run(environment | {"CODE": "3"}, "train", "/runs/search").returncode == 3
    assert not list(Path(environment["RAYNAS_PRIVATE"]).glob(".raynas-job-*"))


def test_slurms_warning_reaches_the_command_as_ctrl_c(environment):
    # As Slurm starts it: from a background command it would inherit that SIGINT is ignored.
    command = [sys.executable, "-c", WITH_SIGINT, "bash", str(SCRIPT), "search", "--out", "/runs/one"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line == "running\n":
                    process.send_signal(signal.SIGTERM)
                    break
            assert process.wait(timeout=60) == 130
        finally:
            process.terminate()
    assert "interrupted" in Path(environment["LOG"]).read_text()


def test_without_a_command_nothing_is_started(environment):
    assert run(environment).returncode == 2
    assert not Path(environment["LOG"]).exists()


def test_shellcheck_has_nothing_to_say():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", "--severity=warning", str(SCRIPT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
