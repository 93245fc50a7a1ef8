"""Compares a search whose driver is killed again and again with one that is left alone: `make chaos`.

    python -m benchmarks.chaos.drivers --kills 25 --children 150 --seed 0 --out build/chaos

Everything is as in a real search (run, journal, Tune controller, PPO, tracker with MLflow on SQLite) except
the pool: its workers are threads of the driver, and a child's result is a function of the child. They die
with the driver, as a real pool's workers do. What a real pool leaves behind is tested in
tests/ray/test_ray_resume.py.

The seed decides where a driver is killed with SIGKILL: at a write to the journal (before it, in the middle of
the line or after it), at a request to MLflow, before or after the strategy learns, or from outside at any
moment. With one worker, results come back in one order, so the whole run must be identical, including the
controller's weights. With several workers and PPO, the order differs from run to run, and with it the next
proposals. Then the weights must be those of a replay of the same events. With the random strategy, which
doesn't learn, the children and their rewards must be the same as without kills.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import signal
import sys
from collections import Counter
from pathlib import Path

from benchmarks.chaos.checks import check_journal, check_mlflow, num_finished, outcome, scores
from benchmarks.chaos.kills import PLACES, Kill, draw_kill
from benchmarks.chaos.search import STRATEGY_FILE, Settings, drive
from raynas.files import JOURNAL_FILE
from raynas.run.folder import default_store

PRELOADED = [
    "raynas.programs.search.execute",
    "raynas.strategies.ppo",
    "mlflow.store.tracking.sqlalchemy_store",
    "raynas.data.digits",
    "raynas.cells.draw",
    "search_spaces.nasnet",
]
"""Modules that all drivers need, imported once in the server that they are forked from."""


def run_driver(folder: Path, settings: Settings, kill: Kill | None) -> int | None:
    """Runs one driver until it ends or is killed; returns its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    before = _size(folder)
    driver = context.Process(target=drive, args=(folder, settings, kill))
    driver.start()
    if kill is not None and kill.place == "outside":
        while driver.is_alive() and _size(folder) == before:
            driver.join(0.005)
        driver.join(kill.count / 100)
        driver.kill()
    driver.join()
    return driver.exitcode


def _size(folder: Path) -> int:
    return (folder / JOURNAL_FILE).stat().st_size if (folder / JOURNAL_FILE).exists() else 0


def kill_drivers(folder: Path, settings: Settings, num_kills: int) -> list[Kill]:
    """Kills the drivers of one search at random places, then lets it end; returns the kills."""
    rng = random.Random(settings.seed)
    kills: list[Kill] = []
    # A driver that finishes before its kill is due is not counted.
    while len(kills) < num_kills:
        kill = draw_kill(rng, settings.children - num_finished(folder), num_kills - len(kills))
        code = run_driver(folder, settings, kill)
        if code == -signal.SIGKILL:
            kills.append(kill)
        elif code != 0:
            raise AssertionError(f"a driver that was to be killed at {kill} ended with exit code {code}")
        elif num_finished(folder) >= settings.children:
            break
    assert run_driver(folder, settings, None) == 0
    return kills


def check_with_kills(out: Path, settings: Settings, num_kills: int) -> list[Kill]:
    """Runs a search with kills, and one without where they are comparable, and checks both; returns the
    kills."""
    name = f"{settings.strategy}-{settings.workers}"
    disturbed = out / f"{name}-killed"
    quiet = out / f"{name}-undisturbed"
    kills = kill_drivers(disturbed, settings, num_kills)
    events = check_journal(disturbed, settings)
    check_mlflow(default_store(disturbed), events)
    if settings.workers > 1 and settings.strategy != "random":
        return kills
    assert run_driver(quiet, settings, None) == 0
    undisturbed = check_journal(quiet, settings)
    check_mlflow(default_store(quiet), undisturbed)
    compare = outcome if settings.workers == 1 else scores
    assert compare(events) == compare(undisturbed)
    if settings.workers == 1:
        learned = [(folder / STRATEGY_FILE).read_text() for folder in (disturbed, quiet)]
        assert learned[0] == learned[1]
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--children", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/chaos"))
    arguments = parser.parse_args()
    if arguments.out.exists():
        sys.exit(f"{arguments.out} exists already: choose another --out, or remove it")
    print("| strategy | workers | children | kills | of them at the journal, MLflow, the strategy, outside |")
    print("|---|---|---|---|---|", flush=True)
    for strategy, workers in (("ppo", 1), ("random", 4), ("ppo", 4)):
        settings = Settings(arguments.children, arguments.seed, strategy, workers)
        kills = check_with_kills(arguments.out, settings, arguments.kills)
        places = Counter(kill.place for kill in kills)
        counts = ", ".join(str(places[place]) for place in PLACES)
        print(f"| {strategy} | {workers} | {arguments.children} | {len(kills)} | {counts} |", flush=True)
        if len(kills) < arguments.kills:
            sys.exit("the search was finished before its last kill: use more --children")


if __name__ == "__main__":
    main()
