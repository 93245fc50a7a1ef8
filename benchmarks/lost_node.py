"""Compares final trainings with and without a lost node: `python -m benchmarks.lost_node CELL --data PATH`.

The same training runs three times, each on a new Ray cluster of a head without CPUs and two nodes with one
CPU each: undisturbed; with one node killed and replaced; and with one node killed for good, so that one
worker goes on alone. Prints the curves and how far the parameters are from those of the first training.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
import torch
from ray.cluster_utils import Cluster

from benchmarks.cluster import cluster_of
from raynas.config import merged, parse_assignments
from raynas.models.folder import load_model
from raynas.programs.train.prepare import prepare_training
from raynas.programs.train.train import train_prepared
from raynas.run.lookup import find_genotype

CASES = ("undisturbed", "replaced", "gone")


def kill_a_node(cluster: Cluster, folder: Path, *, replaces: bool) -> None:
    """Kills a node after the next training checkpoint; training goes on meanwhile."""
    known = _checkpoints(folder)
    while _checkpoints(folder) <= known:
        time.sleep(0.05)
    cluster.remove_node(sorted(cluster.worker_nodes, key=lambda node: node.unique_id)[0])
    if replaces:
        cluster.add_node(num_cpus=1)


def _checkpoints(folder: Path) -> set[str]:
    return {path.name for path in (folder / "checkpoints").glob("checkpoint_*")}


def train(case: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs one of CASES; returns its curve and what happened."""
    settings = merged(
        parse_assignments(arguments.set),
        {
            "data": {"source": arguments.data},
            "workers": {"count": 2, "cpus": 1, "at_least": 1 if case == "gone" else None},
            "tracking": {"enabled": False},
        },
    )
    out = folder / case
    prepared = prepare_training(
        find_genotype(arguments.cell),
        cell=arguments.cell,
        recipe=arguments.recipe,
        out=out,
        settings=settings,
    )
    with cluster_of(2) as cluster:
        killed_at = None

        def epoch_done(summary: Any) -> None:
            nonlocal killed_at
            print(f"{case}: {summary.model_dump_json()}", flush=True)
            if case != "undisturbed" and summary.epoch == arguments.after_epoch:
                kill_a_node(cluster, out, replaces=case == "replaced")
                killed_at = time.time() - began

        began = time.time()
        result = train_prepared(prepared, report=epoch_done)
        num_nodes = sum(node["Alive"] for node in ray.nodes())
    return {
        "case": case,
        "seconds": time.time() - began,
        "killed_after": killed_at,
        "nodes_at_the_end": num_nodes,
        "curve": [summary.model_dump() for summary in result.summaries],
        "model": str(result.model),
    }


def difference(one: Path, other: Path) -> float:
    """The largest absolute difference between the parameters of two trained networks."""
    ours, theirs = (load_model(path).network.state_dict() for path in (one, other))
    return max(float((ours[key].double() - theirs[key].double()).abs().max()) for key in ours)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cell")
    parser.add_argument("--data", required=True)
    parser.add_argument("--recipe", default="imagenet_mobile")
    parser.add_argument(
        "--after-epoch", type=int, default=1, help="the node is killed in the epoch after this one"
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--out", type=Path, help="folder in which the trainings are kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.out or Path(name)
        cases = [train(case, folder, arguments) for case in arguments.cases]
        for case in cases:
            case["difference"] = difference(Path(case["model"]), Path(cases[0]["model"]))
    print(json.dumps(cases, indent=1))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
