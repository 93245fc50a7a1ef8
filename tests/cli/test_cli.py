"""The command line without Ray: what is printed, what is written, and each mistake's exit code."""

from __future__ import annotations

import ast
import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import raynas.cli
from raynas.child import ChildResult, LimitsConfig
from raynas.cli.main import app
from raynas.cli.terminal.console import message_console, output_console
from raynas.nn import Complexity
from raynas.programs.search.recipes import search_config
from raynas.run.events import Started
from raynas.run.journal import Journal
from raynas.run.lookup import find_cell
from raynas.run.run import Run
from search_spaces.nasnet import NASNET_A

OPTIONS = {"data": {"source": "digits"}, "space": {"num_blocks": 2}, "strategy": {"name": "random"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with one finished run of five children below runs/."""
    monkeypatch.chdir(tmp_path)
    config = search_config(settings=OPTIONS)
    space = config.make_space()
    started = Started(run_id="r", raynas="0", time=0.0, config=config.model_dump(mode="json"))
    with Journal.create(tmp_path / "runs" / "one" / "journal.jsonl", started) as journal:
        run = Run(space, config.make_strategy(space), num_children=5, journal=journal)
        while (child := run.next_child()) is not None:
            failed = ChildResult(status="failed", reason="the loss became nan in epoch 1")
            run.finish(
                child.id, failed if child.id == 3 else ChildResult(status="completed", accuracy=child.id / 10)
            )
    return tmp_path


def call(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("cell", ["runs/one", None])
def test_a_cell_of_a_run_knows_the_run_and_the_child(folder, cell):
    found = find_cell(cell)
    origin = found.origin
    assert (origin.run_id, origin.folder, origin.child) == ("r", "runs/one", 4)
    assert find_cell(found.genotype.arch_id).origin.child == 4


def test_a_published_cell_and_one_in_a_file_are_from_no_run(folder):
    (folder / "cell.json").write_text(NASNET_A.to_json())
    assert find_cell("nasnet_a").origin is None
    assert find_cell("cell.json").origin is None


def test_the_leaderboard_of_the_newest_run_is_a_table(folder):
    code, out, _ = call("leaderboard")
    assert code == 0
    assert "the loss became nan" in out
    assert out.index("0.4000") < out.index("0.2000") < out.index("failed")


def test_the_leaderboard_as_json_is_a_list_best_first(folder):
    code, out, _ = call("leaderboard", "runs/one", "--format", "json", "--top", "3")
    assert code == 0
    assert [entry["accuracy"] for entry in json.loads(out)] == [0.4, 0.2, 0.1]
    wanted = {"arch_id", "status", "accuracy", "reward", "parameters", "mult_adds", "activations"}
    assert wanted <= json.loads(out)[0].keys()


def test_the_leaderboard_as_csv_and_markdown_has_a_line_per_child(folder):
    rows = list(csv.DictReader(io.StringIO(call("leaderboard", "--format", "csv")[1])))
    assert [row["child"] for row in rows] == ["4", "2", "1", "0", "3"]
    assert len(call("leaderboard", "--format", "md")[1].splitlines()) == 2 + 5


def test_the_leaderboard_says_in_one_line_of_its_table_how_many_were_refused(folder):
    assert "beyond the limits" not in call("leaderboard")[1]
    limits = LimitsConfig(parameters=8)
    sizes = iter([9, 9, 8])
    config = search_config(settings=OPTIONS | {"limits": limits.model_dump()})
    space = config.make_space()
    started = Started(run_id="r", raynas="0", time=0.0, config=config.model_dump(mode="json"))
    with Journal.create(folder / "runs" / "two" / "journal.jsonl", started) as journal:
        run = Run(
            space,
            config.make_strategy(space),
            num_children=1,
            limits=limits,
            measure=lambda genotype: Complexity(next(sizes), 2, 3),
            journal=journal,
        )
        run.finish(run.next_child().id, ChildResult(status="completed", accuracy=0.5))
    _, out, _ = call("leaderboard", "runs/two")
    assert "2 proposals were beyond the limits and not trained." in out.splitlines()
    assert "infeasible" not in out
    (entry,) = json.loads(call("leaderboard", "runs/two", "--format", "json")[1])
    assert (entry["child"], entry["parameters"], entry["activations"]) == (2, 8, 3)


def test_spaces_lists_the_space_and_the_published_cell(folder):
    code, out, _ = call("spaces")
    assert code == 0
    assert "nasnet" in out and "50" in out
    assert "nasnet_a" in out and NASNET_A.arch_id in out


def test_show_draws_a_published_cell_as_text(folder):
    code, out, _ = call("show", "nasnet_a")
    assert code == 0
    assert "sep_conv_5x5(h_i)" in out and "reduction cell" in out


def test_show_without_a_name_draws_the_best_of_the_newest_run(folder):
    best = json.loads(call("leaderboard", "--format", "json", "--top", "1")[1])[0]["arch_id"]
    assert call("show")[1] == call("show", best[:6])[1]


def test_show_writes_pictures_and_a_genotype_that_it_can_read_again(folder):
    for format, start in (("png", b"\x89PNG"), ("svg", b"<"), ("json", b"{")):
        code, out, _ = call("show", "nasnet_a", "--format", format, "--out", f"cell.{format}")
        assert (code, out.strip()) == (0, f"cell.{format}")
        assert Path(f"cell.{format}").read_bytes().startswith(start)
    assert call("show", "cell.json")[1] == call("show", "nasnet_a")[1]


MISTAKES = [
    (["show", "nasnet_b"], "Did you mean 'nasnet_a'?"),
    (["show", "missing.json"], "missing.json can't be read"),
    (["show", "cycle.json"], "block 0, input_b: 7 is not a state that block 0 can take (0..1)"),
    (["show", "unknown_op.json"], "Did you mean 'conv_3x3'?"),
    (["leaderboard", "nowhere"], "holds no run"),
    (["search", "--space", "nasnat"], "Did you mean 'nasnet'?"),
    (["search", "--strategy", "pop"], "Did you mean 'ppo'?"),
    (["search", "--recipe", "smal"], "Did you mean 'small'?"),
    (["search", "--set", "child.epoch=3"], "Did you mean 'epochs'?"),
    (["search", "--set", "nonsense"], "not of the form key=value"),
    (["search", "--set", "child.learning_rate=-1"], "child.learning_rate = -1"),
    (["search", "--children", "0"], "--children 0"),
    (["search", "--set", "limits.parameters=0"], "limits.parameters = 0"),
    (["search", "--workers", "many"], "neither a number of at least 1 nor 'auto'"),
    (["search", "--data", "nowhere"], "--data 'nowhere'"),
    (["search", "--out", "runs/one"], "already holds a run"),
    (["search", "--out", "runs/two", "--resume"], "holds no run"),
    (
        ["search", "--out", "runs/one", "--resume", "--seed", "4"],
        "started with --seed 0; now --seed 4 is asked",
    ),
    (
        ["search", "--out", "runs/one", "--resume", "--set", "space.num_blocks=3"],
        "started with space.num_blocks = 2",
    ),
    (
        ["search", "--out", "runs/one", "--resume", "--strategy", "ppo"],
        "started with --strategy 'random'",
    ),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_ends_with_code_2_and_one_clear_message(folder, words, message):
    cell = NASNET_A.to_json()
    Path("cycle.json").write_text(cell.replace('"input_b": 1', '"input_b": 7', 1))
    Path("unknown_op.json").write_text(cell.replace("sep_conv_5x5", "conv3x3", 1))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, _, error = call(*words)
    assert code == 2
    assert message in error
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_unknown_command_or_option_is_answered_with_the_nearest(folder):
    code, _, error = call("serach")
    assert code == 2
    assert "search" in error
    code, _, error = call("search", "--childrn", "3")
    assert code == 2
    assert "--children" in error


@pytest.mark.parametrize(
    "words",
    [["leaderboard"], ["status"], ["show"], ["report"], ["rescore", "--reward", "accuracy"]],
    ids=" ".join,
)
def test_the_name_of_a_folder_is_no_markup(folder, words):
    # A folder "[" with another in it: together they end a markup that was never begun.
    odd = folder / "runs" / "[" / "]" / "[red]one"
    odd.parent.mkdir(parents=True)
    (folder / "runs" / "one").rename(odd)
    result = CliRunner().invoke(app, [words[0], str(odd), *words[1:]])
    assert (result.exit_code, result.exception) == (0, None), result.output
    assert words == ["show"] or "[/]/[red]one" in result.output.replace("\n", "")


def test_what_is_converted_is_no_markup(folder):
    result = CliRunner().invoke(app, ["convert", "[/]", "shards"])
    assert result.exit_code == 2
    assert "'[/]' is not a path" in result.output.replace("\n", "")


@pytest.mark.parametrize("console", [output_console(), message_console()], ids=["output", "messages"])
def test_no_console_reads_markup(console):
    assert console.render_str("[red]x[/red]").plain == "[red]x[/red]"


def is_call_of_console(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Console"


def test_consoles_are_made_in_one_place_and_markup_is_never_turned_on():
    files = Path(raynas.cli.__file__).parent.rglob("*.py")
    nodes = [(file.name, node) for file in files for node in ast.walk(ast.parse(file.read_text()))]
    assert [name for name, node in nodes if is_call_of_console(node)] == ["console.py"]
    switches = [node for _, node in nodes if isinstance(node, ast.keyword) and node.arg == "markup"]
    assert [ast.unparse(switch.value) for switch in switches] == ["False"]
