"""Classes of the user's own given as they are, and arguments that are misspelt."""

from __future__ import annotations

import sys

import pytest

import raynas
from raynas.cells.space import SPACES
from raynas.strategies.random_search import RandomSearch
from raynas.strategies.rewards.accuracy import Accuracy


@pytest.fixture
def in_notebook(monkeypatch):
    """Puts classes into __main__, as the cell of a notebook does. There, __main__ has no spec."""
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", None, raising=False)

    def define(name: str, base: type) -> type:
        cls = type(name, (base,), {"__module__": "__main__"})
        monkeypatch.setattr(main, name, cls, raising=False)
        return cls

    return define


def test_own_classes_of_a_notebook_are_given_as_they_are(in_notebook, tmp_path):
    space = in_notebook("MySpace", SPACES.find("nasbench201"))
    strategy = in_notebook("MyStrategy", RandomSearch)
    reward = in_notebook("MyReward", Accuracy)
    config = raynas.prepare_search(space=space, strategy=strategy, reward=reward, out=tmp_path / "run").config
    assert config.space.name == "__main__:MySpace"
    made = config.make_space(), config.make_strategy(config.make_space()), config.make_reward()
    assert tuple(map(type, made)) == (space, strategy, reward)


def test_a_registered_class_is_known_by_its_name(tmp_path):
    config = raynas.prepare_search(strategy=RandomSearch, out=tmp_path / "run").config
    assert config.strategy.name == "random"


def test_settings_may_be_dotted(tmp_path):
    settings = {"child.batch_size": 16, "network": {"filters": 4, "conventions.padding": "same"}}
    config = raynas.prepare_search(out=tmp_path / "run", settings=settings).config
    assert (config.child.batch_size, config.network.filters) == (16, 4)
    assert config.network.conventions.padding == "same"


@pytest.mark.parametrize("name", ["prepare_search", "run_search", "promote", "train_final", "train_detector"])
def test_a_misspelt_argument_is_answered_with_the_nearest(name):
    with pytest.raises(TypeError, match=rf"{name}\(\) has no argument 'setings'. Did you mean 'settings'\?"):
        getattr(raynas, name)(setings={})
