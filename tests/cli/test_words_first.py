"""A wrong word is answered, and a light command done, before torch, Ray or MLflow are imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from raynas.cells.space import SPACES
from raynas.cli import completion
from raynas.strategies.rewards.reward import REWARDS
from raynas.strategies.strategy import STRATEGIES

CODE = """
import sys
from raynas.cli.main import main
try:
    main()
finally:
    print(*({"torch", "ray", "mlflow"} & set(sys.modules)), file=sys.stderr)
"""


def call(*arguments: str, folder: Path) -> tuple[int, str, list[str]]:
    """Exit code, what was printed, and which of the three libraries were imported."""
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}){CODE}", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    *message, imported = ended.stderr.splitlines()
    return ended.returncode, ended.stdout + "\n".join(message), imported.split()


@pytest.mark.parametrize(
    ("arguments", "suggested"),
    [
        ("search --set network.filtres=8", "'filters'"),
        ("search --strategy pppo", "'ppo'"),
        ("search --space nasnat", "'nasnet'"),
        ("search --recipe smal", "smal"),
        ("promote --set child.epoch=8", "'epochs'"),
        ("train nasnet_a --set training.batchsize=8", "'batch_size'"),
    ],
)
def test_a_misspelt_word_is_answered_before_libraries_are_loaded(arguments, suggested, tmp_path):
    code, text, imported = call(*arguments.split(), folder=tmp_path)
    assert (code, imported) == (2, [])
    assert suggested in text


@pytest.mark.parametrize("arguments", ["--help", "--version", "search --help", "status", "leaderboard"])
def test_a_light_command_loads_none_of_them(arguments, tmp_path):
    _, _, imported = call(*arguments.split(), folder=tmp_path)
    assert imported == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (completion.spaces("nasn"), ["nasnet", "nasnet_b", "nasnet_c"]),
        (completion.strategies("e"), ["ego", "evolution"]),
        (completion.rewards(""), ["accuracy", "mnasnet", "pareto", "training_speed"]),
        (completion.search_recipes("nas"), ["nasnet_paper"]),
        (completion.search_settings("network.fil"), ["network.filters="]),
        (completion.train_settings("training.optimizer.le"), ["training.optimizer.learning_rate="]),
    ],
)
def test_the_shell_is_offered_the_values_that_begin_so(words, expected):
    assert words == expected


@pytest.mark.parametrize("registry", [SPACES, STRATEGIES, REWARDS], ids=lambda registry: registry.kind)
def test_names_read_from_the_text_of_modules_are_those_that_they_register(registry):
    assert {*registry.listed_names()} == {*registry.names()}
