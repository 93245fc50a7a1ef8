"""The files for ray up and KubeRay are valid, safe, and have the versions that requirements.txt pins."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import yaml  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from .kuberay_schema import SCHEMAS

CHECKOUT = Path(__file__).parents[2]
LAUNCHERS = CHECKOUT / "launchers"
CLOUDS = ("aws", "gcp")
COMMANDS = ("search", "promote", "train")


def read(path: str) -> dict[str, Any]:
    return cast(dict[str, Any], yaml.safe_load((LAUNCHERS / path).read_text()))


def rayjob(command: str) -> dict[str, Any]:
    """The base with the overlay's patches, as `kubectl kustomize` makes it."""
    overlay = read(f"kuberay/{command}/kustomization.yaml")
    job = read("kuberay/base/rayjob.yaml")
    job["metadata"]["name"] += overlay["nameSuffix"]
    for patch in overlay["patches"]:
        for change in yaml.safe_load(patch["patch"]):
            *parents, last = [int(key) if key.isdecimal() else key for key in change["path"].split("/")[1:]]
            node: Any = job
            for key in parents:
                node = node[key]
            assert change["op"] == "replace" and node[last] is not None
            node[last] = change["value"]
    return job


def clusters() -> list[dict[str, Any]]:
    return [
        read("kuberay/raycluster.yaml")["spec"],
        *(rayjob(name)["spec"]["rayClusterSpec"] for name in COMMANDS),
    ]


@pytest.fixture(scope="module")
def ray_version() -> str:
    found = re.search(r"^ray\[.*\]==(.+)$", (CHECKOUT / "requirements.txt").read_text(), re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_rays_own_validation_takes_the_ray_up_file(cloud):
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = read(f"ray_up/{cloud}.yaml")
    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    # What is left out comes from Ray's defaults, which open the dashboard and install a nightly Ray.
    assert set(config) >= {"docker", "setup_commands", "head_start_ray_commands", "worker_start_ray_commands"}
    commands = json.dumps([value for name, value in prepared.items() if name.endswith("_commands")])
    assert "0.0.0.0" not in commands and "ray-wheels" not in commands


@pytest.mark.parametrize("cloud", CLOUDS)
def test_spot_gpu_workers_come_on_demand_and_go_when_idle(cloud):
    config = read(f"ray_up/{cloud}.yaml")
    head, workers = (config["available_node_types"][name] for name in ("head", "spot_gpu"))
    assert (workers["min_workers"], workers["max_workers"]) == (0, config["max_workers"])
    assert 0 < config["idle_timeout_minutes"] <= 30
    assert workers["resources"]["GPU"] >= 1
    is_spot = '"spot"' if cloud == "aws" else '"SPOT"'
    assert is_spot in json.dumps(workers) and is_spot not in json.dumps(head)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_token_is_on_in_a_file_and_what_listens_listens_on_loopback(cloud):
    config = read(f"ray_up/{cloud}.yaml")
    assert "--env=RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert config["file_mounts"]["/home/ray/.ray/auth_token"] == "~/.ray/auth_token"
    assert "AUTH_TOKEN=" not in json.dumps(config)
    start = " ".join(config["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in start
    assert "mlflow server --host 127.0.0.1 --port 5000" in start


@pytest.mark.parametrize("cloud", CLOUDS)
def test_what_is_mounted_is_there_and_is_enough_to_install(cloud):
    mounts = read(f"ray_up/{cloud}.yaml")["file_mounts"]
    local = [source for source in mounts.values() if not source.startswith("~")]
    assert all((CHECKOUT / source).exists() for source in local)
    assert {"raynas", "search_spaces", "pyproject.toml", "requirements.txt", "README.md"} == set(local)


def test_versions_are_those_of_the_requirements(ray_version):
    images = {read(f"ray_up/{cloud}.yaml")["docker"]["image"] for cloud in CLOUDS}
    assert images == {f"rayproject/ray:{ray_version}-py311-gpu"}
    assert f"FROM rayproject/ray:{ray_version}-py311-gpu\n" in (LAUNCHERS / "Dockerfile").read_text()
    for cluster in clusters():
        assert cluster["rayVersion"] == ray_version
        assert set(re.findall(r'"image": "(.*?)"', json.dumps(cluster))) == {
            f"registry.example.com/raynas:ray{ray_version}-py311"
        }


@pytest.mark.parametrize("name", ["RayCluster", *COMMANDS])
def test_the_kuberay_file_is_valid(name):
    document = read("kuberay/raycluster.yaml") if name == "RayCluster" else rayjob(name)
    errors = Draft202012Validator(SCHEMAS[document["kind"]]).iter_errors(document)
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_a_misspelt_field_is_found():
    job = rayjob("search")
    job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplica"] = 4
    job["spec"]["backoffLimit"] = "3"
    assert len(list(Draft202012Validator(SCHEMAS["RayJob"]).iter_errors(job))) == 2


def test_every_rayjob_has_the_cluster_of_the_raycluster_file():
    expected, *jobs = clusters()
    for cluster in jobs:
        cluster["workerGroupSpecs"][0]["maxReplicas"] = expected["workerGroupSpecs"][0]["maxReplicas"]
        assert cluster == expected


def test_kuberay_clusters_scale_use_the_token_and_tolerate_gpu_nodes():
    for cluster in clusters():
        assert cluster["authOptions"] == {"mode": "token", "secretName": "raynas-token"}
        assert cluster["enableInTreeAutoscaling"] is True
        assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
        (workers,) = cluster["workerGroupSpecs"]
        assert workers["minReplicas"] == 0 < workers["maxReplicas"]
        pod = workers["template"]["spec"]
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert "nvidia.com/gpu" in [toleration["key"] for toleration in pod["tolerations"]]
        names = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == names


@pytest.mark.parametrize("command", COMMANDS)
def test_a_rayjob_asks_for_as_many_gpus_as_its_cluster_may_have(command):
    spec = rayjob(command)["spec"]
    found = re.search(r"with_gpus\.py (\d+) -- python -m raynas (\w+) ", spec["entrypoint"])
    assert found
    assert found[2] == command
    assert int(found[1]) == spec["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplicas"]
    assert spec["shutdownAfterJobFinishes"] is True


@pytest.mark.parametrize("command", COMMANDS)
def test_kubectl_makes_the_same_of_the_overlay(command):
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    words = ["kubectl", "kustomize", str(LAUNCHERS / "kuberay" / command)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout) == rayjob(command)


def test_no_launcher_has_a_token_in_it():
    for path in LAUNCHERS.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            assert not re.search(r"\b[0-9a-f]{32,}\b|RAY_AUTH_TOKEN=", path.read_text()), path
