"""Arguments of every command of the command line. Workers, servers and other work are replaced by stand-ins.

Absolute paths are made relative, so that no argument leads out of the test's folder.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import ExitStack, chdir
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

from raynas.cells.published import published_cell
from raynas.cli.main import app
from raynas.errors import UsageError
from raynas.files import JOURNAL_FILE
from search_spaces.nasbench201 import EXAMPLE
from tests.fuzz.mutate import mutated_text
from tests.fuzz.seeds import STRATEGIES, journal_lines, parquet_bytes
from tests.fuzz.targets.model import save_tiny
from tests.fuzz.targets.tar import FORMATS, tar_bytes
from tests.fuzz.trial import Attempt

COMMANDS = (
    "search --children 3 --data data --space nasnet --strategy random --out new",
    "search --out runs/one --resume --children 9",
    "search --recipe nasnet_paper --workers 2 --epochs 1 --seed 7 --data data --set child.batch_size=2",
    "search --set network.filters=4 --set space.num_blocks=2 --set limits.parameters=10 --address auto",
    "promote runs/one --top 2 --repeats 2 --epochs 1 --workers auto --out promoted",
    "train nasnet_a --data data --epochs 2 --batch-size 2 --out training --set network.filters=4",
    "train cell.json --data data --dry-run --images-per-second 9.5 --min-workers 1 --workers 2",
    "train runs/one --recipe cifar_final --data data --seed 3",
    "train --out training --resume",
    "train --weights model --recipe finetune --data data --out tuned --dry-run",
    "train cell.json --weights model/model.safetensors --data data --out tuned --set weights.digest=00",
    "export model --format onnx --out model.onnx --image-size 8 --force",
    "export model --format safetensors --num-classes 2 --weights w.pt",
    "convert images.tar shards --shard-mb 1 --classes classes.txt",
    "search --reward mnasnet --set reward.parameters=500000 --memo runs --strategy evolution --data data",
    "rescore runs/one --reward pareto --set reward.worst_cost=1e6 --format csv --top 2",
    "report runs/one --out report",
    "benchmark --table table.csv --space nasbench201 --signal acc --result acc --cost s --seeds 2 --budget 9",
    "leaderboard runs/one --top 2 --format json",
    "leaderboard runs/one",
    "status runs/one --format table",
    "sync runs/one --uri sqlite:///mlflow.db",
    "show nasnet_a --format svg --out cell.svg",
    "show cell.json --format text",
    "show --run runs/one --format json",
    "ui --runs runs --port 5001",
    "doctor --data data --out runs",
    "spaces --help",
    "--help",
)
ODD = (
    "--",
    "-",
    "--nothing",
    "--set",
    "-h",
    "=",
    "--out=",
    "a=b=c",
    "[/]",
    "[bold]",
    "\udce9",
    "%",
    "\u202e",
    "é",
)


class Started(Exception):
    """The arguments were understood, and work would start."""


def start(folder: Path, bomb: Path) -> Attempt:
    seed, deep = folder / "seed", folder / "one" / "two" / "three" / "four"
    _write_seed(seed)
    deep.parent.mkdir(parents=True)

    def attempt(rng: random.Random) -> None:
        arguments = [_contained(argument) for argument in _mutated(rng, rng.choice(COMMANDS).split())]
        shutil.rmtree(deep, ignore_errors=True)
        shutil.copytree(seed, deep)
        with chdir(deep), _without_work():
            _run(arguments)

    return attempt


def _write_seed(folder: Path) -> None:
    run = folder / "runs" / "one"
    run.mkdir(parents=True)
    journal_lines(run / JOURNAL_FILE, strategy=STRATEGIES[0])
    save_tiny(folder / "model")
    (folder / "cell.json").write_text(published_cell("nasnet_a").genotype.to_json())
    (folder / "data").mkdir()
    (folder / "data" / "train.parquet").write_bytes(parquet_bytes(num_rows=12))
    (folder / "images.tar").write_bytes(tar_bytes(FORMATS[0]))
    (folder / "classes.txt").write_text("cat\ndog\n")
    (folder / "table.csv").write_text(f"arch,acc,s\n{EXAMPLE},0.9,2.5\n")


def _mutated(rng: random.Random, arguments: list[str]) -> list[str]:
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(arguments))
        choice = rng.randrange(5)
        if choice == 0:
            arguments[place] = mutated_text(rng, arguments[place])
        elif choice == 1 and len(arguments) > 1:
            del arguments[place]
        elif choice == 2:
            arguments.insert(place, rng.choice(arguments))
        elif choice == 3:
            arguments.insert(place + 1, rng.choice(ODD))
        else:
            arguments[place] = rng.choice(rng.choice(COMMANDS).split())
    return arguments


def _contained(argument: str) -> str:
    """An argument that a system can pass on, and that leads nowhere outside the folder."""
    argument = argument.replace("\0", "").replace("~", "_").replace("\ud800", "\udcff").replace("://", ":")
    return (
        argument.replace("=/", "=./").replace("..", ".") if not argument.startswith("/") else f".{argument}"
    )


def _without_work() -> ExitStack:
    """Replaces everything that needs a cluster, a server or seconds by stand-ins."""
    stack = ExitStack()
    for name, stand_in in _STAND_INS.items():
        stack.enter_context(patch(name, stand_in))
    return stack


def _start(*_: Any, **__: Any) -> NoReturn:
    raise Started


_STAND_INS: dict[str, Callable[..., Any]] = {
    "raynas.cli.terminal.search.execute": _start,
    "raynas.cli.terminal.train.train_prepared": _start,
    "raynas.cli.terminal.export.export_model": _start,
    "raynas.cli.terminal.benchmark.benchmark": _start,
    "raynas.programs.report.folder.write_report": _start,
    "raynas.programs.sync.sync_run": _start,
    "raynas.cli.terminal.spaces.print_listing": _start,
    "raynas.cli.terminal.doctor.examine": lambda **_: iter(()),
    "raynas.tracking.ui_server.UiServer": _start,
}


def _run(arguments: list[str]) -> None:
    try:
        app(arguments, prog_name="raynas")
    except Started:
        return
    except SystemExit as ended:
        if ended.code not in (0, None, 2):
            raise AssertionError(f"exit code {ended.code} of {arguments}") from ended
        if ended.code == 2:
            raise UsageError("refused") from None
    except Exception as error:
        error.add_note(f"arguments: {arguments}")
        raise
