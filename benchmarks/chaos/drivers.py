"""A search whose driver is killed with SIGKILL again and again, and one that is left alone: `make chaos`.

    python -m benchmarks.chaos.drivers --kills 25 --children 150 --seed 0 --out build/chaos

Everything is as in a search (run, journal, Tune's controller, PPO, the tracker with MLflow on SQLite), but
for the pool: its workers are threads of the driver, and a child's result is a function of the child. They die
with the driver, as a pool's workers do; what a real pool leaves behind is tests/ray/test_ray_resume.py's.

Where a driver dies is drawn from the seed: at one of its writes to the journal (before it, in the middle of
the line, after it), at one of its requests to MLflow, before or after the strategy learns, or from outside,
wherever it happens to be. With one worker results come back in one order, so the whole run has to be the same
bit by bit, with the controller's weights. With several workers and PPO the order differs from run to run, and
the next proposals with it: then the weights must be those of a run that was never killed and had the same
events, and with the random strategy, which does not learn, the children and their rewards must be the same.
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
"""What a driver imports, once for all of them."""


def life(folder: Path, settings: Settings, kill: Kill | None) -> int | None:
    """One driver from its start to its end; its exit code."""
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


def torment(folder: Path, settings: Settings, num_kills: int) -> list[Kill]:
    """Kills the drivers of one search at drawn places, then lets it end; the places."""
    rng = random.Random(settings.seed)
    kills: list[Kill] = []
    # A driver that is through before its kill comes is no kill.
    while len(kills) < num_kills:
        kill = draw_kill(rng, settings.children - num_finished(folder), num_kills - len(kills))
        code = life(folder, settings, kill)
        if code == -signal.SIGKILL:
            kills.append(kill)
        elif code != 0:
            raise AssertionError(f"a driver that was to die at {kill} ended with {code}")
        elif num_finished(folder) >= settings.children:
            break
    assert life(folder, settings, None) == 0
    return kills


def chaos(out: Path, settings: Settings, num_kills: int) -> list[Kill]:
    """Torments one search and checks all that is promised of it; the kills."""
    name = f"{settings.strategy}-{settings.workers}"
    disturbed, quiet = out / f"{name}-killed", out / f"{name}-undisturbed"
    kills = torment(disturbed, settings, num_kills)
    events = check_journal(disturbed, settings)
    check_mlflow(default_store(disturbed), events)
    if settings.workers > 1 and settings.strategy != "random":
        return kills
    assert life(quiet, settings, None) == 0
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
        sys.exit(f"{arguments.out} is there already: give another --out, or remove it")
    print("| strategy | workers | children | kills | of them at the journal, MLflow, the strategy, outside |")
    print("|---|---|---|---|---|", flush=True)
    for strategy, workers in (("ppo", 1), ("random", 4), ("ppo", 4)):
        settings = Settings(arguments.children, arguments.seed, strategy, workers)
        kills = chaos(arguments.out, settings, arguments.kills)
        places = Counter(kill.place for kill in kills)
        counts = ", ".join(str(places[place]) for place in PLACES)
        print(f"| {strategy} | {workers} | {arguments.children} | {len(kills)} | {counts} |", flush=True)
        if len(kills) < arguments.kills:
            sys.exit("the search was through before its last kill: give more --children")


if __name__ == "__main__":
    main()
