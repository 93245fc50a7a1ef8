"""The config of a search: recipes, the user's settings over them, and what a resumed run may change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raynas.cells.space import SPACES
from raynas.child import NO_LIMITS, LimitsConfig
from raynas.config import merged, parse_assignments
from raynas.errors import InvalidConfig, RunFolderError, UnknownName
from raynas.programs.search.config import SearchConfig, resumed_search_config
from raynas.programs.search.recipes import RECIPES, search_config
from raynas.run.events import Started
from raynas.run.recorded import RecordedRun
from raynas.strategies.ppo import PPO
from raynas.strategies.ppo_config import PPOConfig
from raynas.strategies.random_search import RandomSearch
from raynas.strategies.strategy import STRATEGIES
from search_spaces.nasnet import NASNetSpace


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_recipe_is_a_valid_config_that_survives_json(recipe):
    config = search_config(recipe)
    assert SearchConfig.model_validate(json.loads(config.model_dump_json())) == config


def test_without_a_word_nasnet_cells_are_searched_with_ppo_on_digits():
    config = search_config()
    assert config.data.source == "digits"
    assert config.make_space() == NASNetSpace()
    strategy = config.make_strategy(config.make_space())
    assert isinstance(strategy, PPO)
    assert strategy.config == PPOConfig()
    assert strategy.seed == config.seed


def test_the_papers_recipe_is_the_papers():
    config = search_config("nasnet_paper")
    assert (config.children, config.child.epochs) == (20_000, 20)
    space = config.make_space()
    assert isinstance(space, NASNetSpace) and space.num_blocks == 5


def test_the_users_settings_win_over_the_recipe():
    config = search_config("small", {"child": {"epochs": 7}, "seed": 5})
    assert (config.child.epochs, config.seed) == (7, 5)
    assert config.child.learning_rate == search_config("small").child.learning_rate


def test_digits_get_their_own_recipe_and_other_images_do_not():
    assert search_config("small").network.num_reductions == 1
    other = search_config("small", {"data": {"source": "images.parquet"}})
    assert other.child.augmentation.mirrors(("cat", "dog"))
    assert search_config("small", {"data": {"source": "digits"}}).child.augmentation.flip is False


def test_an_unknown_recipe_is_refused():
    with pytest.raises(UnknownName, match=r"No recipe is called 'smal'\. Did you mean 'small'\?"):
        search_config("smal")


def test_an_option_can_be_set_without_repeating_the_name_it_belongs_to():
    config = search_config("small", {"space": {"num_blocks": 3}, "strategy": {"learning_rate": 0.5}})
    assert config.make_space() == NASNetSpace(num_blocks=3)
    assert config.strategy.options == PPOConfig(learning_rate=0.5).model_dump()


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_the_config_records_every_option_of_space_and_strategy(recipe):
    """A default that changes in a later version must not change what a run is resumed with."""
    config = search_config(recipe)
    space, strategy = SPACES.find(config.space.name), STRATEGIES.find(config.strategy.name)
    assert config.space.options.keys() == space.model_fields.keys()
    assert config.strategy.options.keys() == strategy.Config.model_fields.keys()


def test_another_strategy_takes_none_of_the_options_that_a_recipe_has_for_its_own():
    config = search_config("amoebanet_paper", {"strategy": {"name": "ppo"}})
    assert config.strategy.options == PPOConfig().model_dump()


def test_another_strategy_can_be_chosen_by_name():
    config = search_config(settings={"strategy": {"name": "random"}})
    assert isinstance(config.make_strategy(config.make_space()), RandomSearch)


def test_there_are_no_limits_unless_they_are_set():
    assert search_config("nasnet_paper").limits == NO_LIMITS
    limits = search_config(settings=parse_assignments(["limits.mult_adds=6e8"])).limits
    assert limits == LimitsConfig(mult_adds=600_000_000)


NASNET = {"name": "nasnet"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"child": {"epoch": 3}}, "child.epoch is not an option. Did you mean 'epochs'?"),
        ({"child": {"augmentation": {"flop": True}}}, "child.augmentation.flop is not an option. Did you"),
        ({"childern": 3}, "childern is not an option. Did you mean 'children'?"),
        ({"children": 0}, "children = 0: "),
        ({"child": {"epochs": 0}}, "child.epochs = 0: "),
        ({"child": 3}, "child = 3: "),
        ({"data": "digits"}, "data = 'digits': "),
        ({"data": None}, "data = None: "),
        ({"data": {"source": 3}}, "data.source = 3: "),
        ({"seed": -1}, "seed = -1: "),
        ({"seed": 2**31}, "seed = 2147483648: "),
        ({"space": "nasnet"}, "space = 'nasnet': "),
        (
            {"space": NASNET | {"num_block": 3}},
            "space.num_block is not an option. Did you mean 'num_blocks'?",
        ),
        ({"space": NASNET | {"num_blocks": 0}}, "space.num_blocks = 0: "),
        ({"space": {"name": "nasnat"}}, "No search space is called 'nasnat'. Did you mean 'nasnet'?"),
        ({"strategy": {"name": "pop"}}, "No strategy is called 'pop'. Did you mean 'ppo'?"),
        ({"strategy": {"name": "random", "clip": 0.1}}, "strategy.clip is not an option."),
        ({"strategy": {"name": "ppo", "clip": 0}}, "strategy.clip = 0: "),
        ({"workers": {"count": "many"}}, "workers.count"),
        ({"workers": {"cpus": 0}}, "workers.cpus = 0: "),
        ({"workers": {"gpus": -1}}, "workers.gpus"),
        ({"scheduler": {"name": "ash"}}, "scheduler.name = 'ash': "),
        ({"limits": {"parameter": 3}}, "limits.parameter is not an option. Did you mean 'parameters'?"),
        ({"limits": {"mult_adds": 0}}, "limits.mult_adds = 0: "),
        ({"limits": {"activations": "many"}}, "limits.activations = 'many': "),
        ({"limits": 3}, "limits = 3: "),
    ],
    ids=lambda value: None if isinstance(value, str) else json.dumps(value),
)
def test_a_bad_setting_is_refused_by_its_full_name(settings, message):
    with pytest.raises(InvalidConfig) as caught:
        search_config(settings=settings)
    assert message in str(caught.value)
    assert not str(caught.value).endswith("..")


def recorded(**settings: Any) -> dict[str, Any]:
    """A config as a journal holds it."""
    config: dict[str, Any] = json.loads(search_config(settings=settings).model_dump_json())
    return config


def test_a_run_is_resumed_with_the_config_that_it_recorded():
    assert resumed_search_config(recorded(seed=3), {}) == search_config(settings={"seed": 3})


@pytest.mark.parametrize("cpu_workers", [0, 4, "auto"])
def test_a_run_that_recorded_the_former_number_of_cpu_only_workers_is_resumed_without_them(cpu_workers):
    old = merged(recorded(seed=3), {"workers": {"count": 2, "cpu_workers": cpu_workers}})
    started = Started(run_id="r", raynas="0.1.0", time=0.0, config=old)
    expected = search_config(settings={"seed": 3, "workers": {"count": 2}})
    assert resumed_search_config(RecordedRun(Path("run"), [started]).config, {}) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"children": 99},
        {"children": 1},
        {"workers": {"count": 3, "cpus": 2}},
        {"tracking": {"enabled": False}},
        {"seed": 0, "children": 30},
    ],
)
def test_how_much_and_where_may_change_on_resuming(change):
    before = recorded()
    assert resumed_search_config(before, change) == search_config(settings=change)
    assert before == recorded()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": 1}, "seed = 0; now seed = 1"),
        ({"child": {"epochs": 9}}, "child.epochs = 3; now child.epochs = 9"),
        ({"child": {"augmentation": {"flip": True}}}, "child.augmentation.flip = False"),
        ({"data": {"source": "other"}}, "data.source = 'digits'; now data.source = 'other'"),
        ({"scheduler": {"name": "asha"}}, "scheduler.name = 'none'"),
        ({"limits": {"parameters": 9}}, "limits.parameters = None; now limits.parameters = 9"),
        ({"space": {"num_blocks": 4}}, "space.num_blocks = 5; now space.num_blocks = 4"),
        ({"strategy": {"name": "random"}}, "strategy.name = 'ppo'; now strategy.name = 'random'"),
        ({"strategy": {"learning_rate": 0.5}}, "strategy.learning_rate = 0.01"),
    ],
)
def test_a_setting_that_would_change_the_results_is_refused_on_resuming(change, field):
    before = recorded(space=NASNET, strategy={"name": "ppo"})
    with pytest.raises(RunFolderError) as caught:
        resumed_search_config(before, change)
    assert f"started with {field}" in str(caught.value)
    assert "other children, hours, workers, tracking, failures, memo only" in str(caught.value)


def test_a_setting_that_repeats_what_was_recorded_is_no_change():
    before = recorded(space=NASNET)
    again = {"seed": 0, "space": NASNET | {"num_blocks": 5}, "child": {"epochs": 3}}
    assert resumed_search_config(before, again) == resumed_search_config(before, {})


def test_an_unknown_setting_is_refused_on_resuming_too():
    with pytest.raises(InvalidConfig, match=r"child\.epoch is not an option"):
        resumed_search_config(recorded(), {"child": {"epoch": 1}})


def test_a_recorded_config_that_this_version_does_not_know_is_refused():
    with pytest.raises(InvalidConfig, match="colour is not an option"):
        resumed_search_config(merged(recorded(), {"colour": "red"}), {})
