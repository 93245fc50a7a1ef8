"""From words on a command line to a validated value, and what the messages say."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from raynas.config import FrozenModel, merged, parse_assignments, validated
from raynas.errors import (
    DataError,
    DoesNotFit,
    InvalidConfig,
    InvalidGenotype,
    RaynasError,
    RunFolderError,
    SearchFailed,
    UnknownName,
    UsageError,
    did_you_mean,
)


class Engine(FrozenModel):
    cylinders: int = Field(4, ge=1)
    fuel: str = "diesel"


class Car(FrozenModel):
    engine: Engine = Engine()
    seats: int = Field(5, ge=1)
    owner: str


keys = st.sampled_from("abc")
trees = st.dictionaries(
    keys, st.recursive(st.integers(), lambda inner: st.dictionaries(keys, inner, max_size=3)), max_size=3
)


@pytest.mark.slow
@given(trees)
def test_nothing_laid_over_a_tree_changes_nothing(tree):
    assert merged(tree, {}) == tree
    assert merged({}, tree) == tree
    assert merged(tree, tree) == tree


@given(trees, trees)
def test_what_is_laid_over_wins_at_every_leaf(base, overrides):
    def assert_holds(inner, outer):
        for key, value in inner.items():
            if isinstance(value, dict) and isinstance(outer[key], dict):
                assert_holds(value, outer[key])
            else:
                assert outer[key] == value

    assert_holds(overrides, merged(base, overrides))


def test_merging_changes_neither_side():
    base, overrides = {"a": {"b": 1}}, {"a": {"c": 2}}
    result = merged(base, overrides)
    result["a"]["b"] = 3
    assert (base, overrides) == ({"a": {"b": 1}}, {"a": {"c": 2}})


@pytest.mark.parametrize(
    ("words", "tree"),
    [
        ([], {}),
        (["seed=3"], {"seed": 3}),
        (["child.epochs=3", "child.batch_size=8"], {"child": {"epochs": 3, "batch_size": 8}}),
        (["seed=1", "seed=2"], {"seed": 2}),
        (["data.source=a/b=c"], {"data": {"source": "a/b=c"}}),
        (["data.source="], {"data": {"source": ""}}),
        ([" a = 1.5 "], {"a": 1.5}),
        (["a=true", "b=null", 'c="3"', "d=nasnet"], {"a": True, "b": None, "c": "3", "d": "nasnet"}),
        (['space.operations=["identity", "conv_1x1"]'], {"space": {"operations": ["identity", "conv_1x1"]}}),
        (['child={"epochs": 2}', "child.batch_size=4"], {"child": {"epochs": 2, "batch_size": 4}}),
        (["child.epochs=2", "child=4"], {"child": 4}),
        (["x=" + "[" * 100_000], {"x": "[" * 100_000}),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, list) else "",
)
def test_words_become_a_tree(words, tree):
    assert parse_assignments(words) == tree


@pytest.mark.parametrize("word", ["", "seed", "=3", ".a=3", "a.=3", "a..b=3", " =1"])
def test_a_word_without_key_or_value_is_refused(word):
    with pytest.raises(InvalidConfig, match="is not of the form key=value") as caught:
        parse_assignments(["seed=1", word])
    assert repr(word) in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"owner": "me", "seats": 0}, "car.seats = 0: "),
        ({"owner": "me", "seats": "x" * 200}, "car.seats = 'xxx"),
        ({}, "car.owner is missing."),
        ({"owner": "me", "seat": 4}, "car.seat is not an option. Did you mean 'seats'? Known: "),
        ({"owner": "me", "zzz": 4}, "car.zzz is not an option. Known: engine, owner, seats."),
        ({"owner": "me", "engine": {"cylinder": 4}}, "car.engine.cylinder is not an option. Did you mean "),
        ({"owner": "me", "engine": {"cylinders": 0}}, "car.engine.cylinders = 0: "),
        ({"owner": "me", "engine": 3}, "car.engine = 3: "),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_what_is_allowed(values, message):
    with pytest.raises(InvalidConfig) as caught:
        validated(Car, values, where="car")
    assert message in str(caught.value)
    assert max(map(len, str(caught.value).splitlines())) < 250


def test_every_bad_field_has_its_line():
    with pytest.raises(InvalidConfig) as caught:
        validated(Car, {"seats": 0, "engine": {"fuel": 3}})
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["engine.fuel", "seats", "owner"]


def test_a_validated_value_is_frozen():
    car = validated(Car, {"owner": "me"})
    assert (car.engine.cylinders, car.seats) == (4, 5)
    with pytest.raises(ValueError):
        car.seats = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("nasnat", " Did you mean 'nasnet'?"), ("nasnet", " Did you mean 'nasnet'?"), ("", ""), ("zzz", "")],
)
def test_the_nearest_known_name_is_suggested(name, suggestion):
    assert did_you_mean(name, ["darts", "nasnet"]) == suggestion


def test_an_unknown_name_lists_what_is_known():
    assert str(UnknownName("cell", "x", ["b", "a"], "Look.")) == "No cell is called 'x'. Known: a, b.\nLook."
    assert str(UnknownName("cell", "x", [])) == "No cell is called 'x'. Known: none."


@pytest.mark.parametrize(
    "error",
    [
        UnknownName("cell", "nasnat", ["nasnet"], "hint"),
        *(
            kind("what happened")
            for kind in (InvalidConfig, InvalidGenotype, DataError, RunFolderError, DoesNotFit)
        ),
        SearchFailed("what happened"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickling(error):
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))
    assert isinstance(error, RaynasError)
    assert isinstance(error, UsageError) == isinstance(error, ValueError) == (type(error) is not SearchFailed)
