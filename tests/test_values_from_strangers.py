"""What a file or a command line may not say, however it is written: found by mutating valid ones."""

from __future__ import annotations

import sys

import pytest

from raynas.cells.genotype import Genotype
from raynas.cells.space import make_space
from raynas.config import parse_assignments, validated
from raynas.errors import InvalidConfig, InvalidGenotype, RunFolderError, UsageError
from raynas.programs.search.config import SearchConfig, resumed_search_config
from raynas.programs.search.recipes import search_config
from raynas.programs.train.recipes import train_config
from raynas.run.journal import read_events

LONG_NUMBER, DEEP = "9" * 5000, "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("text", [LONG_NUMBER, DEEP])
def test_json_that_python_does_not_read_is_no_genotype(text):
    with pytest.raises(InvalidGenotype, match="no JSON"):
        Genotype.from_json(text)


def test_a_number_of_five_thousand_digits_stays_a_word():
    assert parse_assignments([f"space.name={LONG_NUMBER}"]) == {"space": {"name": LONG_NUMBER}}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_setting_is_a_finite_number(number):
    settings = parse_assignments([f"child.learning_rate={number}"])
    with pytest.raises(InvalidConfig, match=r"child\.learning_rate"):
        search_config("small", settings)


@pytest.mark.parametrize("value", [[], "nasnet", 3, None])
def test_a_config_is_an_object(value):
    with pytest.raises(InvalidConfig, match=r"the configuration = .* must be an object"):
        validated(SearchConfig, value)


@pytest.mark.parametrize("recorded", [{}, {"space": "nasnet"}, {"space": []}, {"strategy": {"name": 3}}])
def test_a_recorded_config_without_its_choices_is_refused_when_it_is_resumed(recorded):
    whole = search_config("small").model_dump(mode="json")
    resumed_search_config(whole, {"children": 30})
    with pytest.raises(UsageError):
        resumed_search_config({**whole, "seed": -1, **recorded}, {"space": {"name": "enas"}})


@pytest.mark.parametrize(
    "setting",
    [
        "network.cells_per_stack=1000000000",
        "network.filters=1000000000",
        "strategy.hidden_units=1000000",
        "strategy.passes=1000000000",
        "data.image_size=1000000000",
    ],
)
def test_a_number_that_would_fill_the_memory_or_never_end_is_refused(setting):
    with pytest.raises(InvalidConfig, match=setting.partition("=")[0].rpartition(".")[2]):
        search_config("small", parse_assignments([setting]))


def test_a_word_that_is_no_unicode_cannot_be_recorded_and_is_refused():
    settings = parse_assignments(["tracking.uri=\udcff"])
    assert settings == {"tracking": {"uri": "\udcff"}}
    with pytest.raises(InvalidConfig, match="can't be written down"):
        search_config("small", settings)


def test_half_a_character_in_json_is_no_json():
    with pytest.raises(InvalidGenotype, match="no JSON"):
        Genotype.from_json('{"normal": "\\ud800"}')


def test_pixels_of_a_training_are_bounded_too():
    cell = {"cell": "x", "genotype": {}}
    with pytest.raises(InvalidConfig, match="image_size"):
        train_config("cifar_final", {**cell, "data": {"image_size": 10**9}})


STARTED = '{"kind":"started","run_id":"r","raynas":"0","time":0,"config":{}}'
PROPOSED = '{"kind":"proposed","child":0,"time":0,"actions":[0],"arch_id":"000000000000"%s}'
FINISHED = '{"kind":"finished","child":0,"time":0,"reward":%s,"result":{"status":"completed","seconds":%s}}'


@pytest.mark.parametrize(
    "line",
    [
        PROPOSED % f',"parameters":{10**400}',
        PROPOSED % ',"mult_adds":-1',
        FINISHED % ("NaN", 1),
        FINISHED % ("Infinity", 1),
        FINISHED % (0.5, 1e300),
        f'{{"kind":"resumed","time":0,"children":{10**400}}}',
    ],
)
def test_a_journal_has_no_number_that_nothing_can_have_been(tmp_path, line):
    path = tmp_path / "journal.jsonl"
    path.write_text(f"{STARTED}\n{PROPOSED % ''}\n{line}\n")
    with pytest.raises(RunFolderError, match="line 3"):
        read_events(path)


@pytest.mark.parametrize("name", ["evil:Space", "runs.one.evil:Space", "runs.one:Space"])
def test_a_module_in_a_runs_folder_is_not_imported(tmp_path, monkeypatch, name):
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "journal.jsonl").write_text(STARTED)
    for file in ("evil.py", "__init__.py"):
        (run / file).write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\nclass Space: ...\n")
    monkeypatch.syspath_prepend(run if name.startswith("evil") else tmp_path)
    with pytest.raises(UsageError, match="lies in the folder of a run"):
        make_space(name)
    assert not (tmp_path / "executed").exists()
    assert "evil" not in sys.modules
