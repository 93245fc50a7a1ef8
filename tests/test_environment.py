"""What is written down of packages and machine."""

from __future__ import annotations

import platform
from importlib.metadata import version

import raynas.environment
from raynas.environment import machine, versions


def test_versions_are_those_of_what_runs():
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["torch"] == version("torch")


def test_the_machine_is_told_as_far_as_the_system_does(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Quick: 9000\nmodel name\t: Other\n")
    for name, model in (("b", "H100"), ("a", "A100")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "information").write_text(f"Model: \t\t {model}\nIRQ:   1\n")
    monkeypatch.setattr(raynas.environment, "CPUS", tmp_path / "cpuinfo")
    monkeypatch.setattr(raynas.environment, "GPUS", tmp_path)
    assert "CPUs (Quick: 9000), " in machine()
    assert ", GPU A100, GPU H100, " in machine()
    monkeypatch.setattr(raynas.environment, "CPUS", tmp_path / "nowhere")
    monkeypatch.setattr(raynas.environment, "GPUS", tmp_path / "nowhere")
    assert f"CPUs ({platform.machine()})" in machine()
    assert "GPU" not in machine()
