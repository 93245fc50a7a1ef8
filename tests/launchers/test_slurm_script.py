"""The Slurm script, run by bash with stand-ins for srun, ray and python."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ray.scripts.scripts import start

from .head_process import WITH_SIGINT

CHECKOUT = Path(__file__).parents[2]
SCRIPT = CHECKOUT / "launchers" / "slurm" / "raynas.sbatch"
PORT = re.compile(r"--([\w-]*?)-?port=(\d+)")
SERVERS_OF_A_NODE = {
    "node-manager",
    "object-manager",
    "metrics-export",
    "dashboard-agent-listen",
    "dashboard-agent-grpc",
    "runtime-env-agent",
}
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
    # Only then have all servers been started, which the end of the script ends.
    servers=$(( SLURM_JOB_NUM_NODES > 1 ? 2 : 1 ))
    until [ "$(grep -c '^ray start' "$LOG")" -ge "$servers" ]; do sleep 0.05; done
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
    assert "srun --overlap --nodes=2 --ntasks=2" in log and "start --address=10.0.0.1:20077 " in log
    assert log.count("--num-cpus=8") == 4
    assert "python -m raynas promote /runs/search --top 250" in log
    modes = {Path(line.split()[1]).name: line.split()[0] for line in log.splitlines() if line[:3].isdecimal()}
    assert modes.pop("token") == "600"
    assert list(modes.values()) == ["700"]
    assert "the-token" not in log + done.stdout + done.stderr


def ports_of(environment: dict[str, str], job: str) -> tuple[dict[str, int], dict[str, int]]:
    """The ports by their options that job number `job` gives its head and its worker nodes."""
    log = Path(environment["LOG"])
    log.unlink(missing_ok=True)
    done = run(environment | {"SLURM_JOB_ID": job}, "promote", "/runs/search")
    assert done.returncode == 0, done.stderr
    head, workers = sorted(
        (line for line in log.read_text().splitlines() if line.startswith("srun ")),
        key=lambda line: "--head" not in line,
    )
    return ports_in(head), ports_in(workers)


def ports_in(line: str) -> dict[str, int]:
    return {name: int(port) for name, port in PORT.findall(line)}


def held(ports: dict[str, int]) -> set[int]:
    """Those that Ray doesn't let the system choose."""
    return {port for port in ports.values() if port}


def test_s1_every_server_of_ray_has_a_port_that_is_the_jobs_own(environment):
    head, workers = ports_of(environment, "77")
    assert len(held(head)) == 3 and not held(workers)
    # Whatever `ray start` gives a fixed port to by default is given one here.
    assert set(head) == {"", "dashboard", "ray-client-server", *SERVERS_OF_A_NODE}
    assert set(workers) == SERVERS_OF_A_NODE


def test_s1_every_port_option_of_ray_start_is_given():
    """Fails when a new Ray has a server more."""
    options = {option.removeprefix("--") for parameter in start.params for option in parameter.opts}
    # Ports of the workers are chosen by the system by default; Redis is not started.
    ours = {"min-worker-port", "max-worker-port"}
    ports = {option for option in options if option.endswith("port") and option not in ours}
    given = {f"{name}-port" for name in {"dashboard", "ray-client-server", *SERVERS_OF_A_NODE}} | {"port"}
    assert ports == given


@pytest.mark.parametrize("other", ["10077", "20077", "100077", "1000077", "77777777", "78"])
def test_s1_jobs_whose_numbers_differ_by_a_round_number_have_other_ports(environment, other):
    (one, _), (another, _) = ports_of(environment, "77"), ports_of(environment, other)
    assert not held(one) & held(another)


@pytest.mark.parametrize("server", ["", "dashboard", "ray-client-server"])
def test_s1_a_port_that_somebody_holds_is_not_taken(environment, server):
    usual, _ = ports_of(environment, "1234")
    with socket.create_server(("127.0.0.1", usual[server])):
        other, _ = ports_of(environment, "1234")
    assert not held(usual) & held(other)


def test_s1_ports_are_below_those_that_the_system_gives_out(environment):
    for job in ("4000", "4001", "67108863"):
        ports, _ = ports_of(environment, job)
        assert min(held(ports)) >= 20000 and max(held(ports)) < 32768


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
