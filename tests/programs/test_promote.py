"""Promotion: the best different cells of a run, trained again by a longer recipe."""

from __future__ import annotations

import pytest

from raynas.cells.space import make_space
from raynas.errors import RunFolderError, UsageError
from raynas.programs.promote import best_architectures, prepare_promotion
from raynas.programs.search.recipes import search_config
from raynas.run.events import Event, Finished, Proposed, Started
from raynas.run.journal import Journal
from raynas.run.leaderboard import by_architecture
from raynas.run.recorded import RecordedRun
from raynas.strategies.strategy import make_strategy
from tests.run.builders import completed, failed

SPACE = make_space("nasnet", num_blocks=1, operations=["identity", "conv_1x1"], combiners=["add"])
CELLS = [
    (0, 0, 0, 0, 0, 0, 0, 0),
    (0, 1, 0, 0, 0, 0, 0, 0),
    (0, 1, 1, 1, 0, 0, 0, 0),
    (1, 0, 0, 0, 0, 0, 0, 0),
]
"""The second and the fourth are one cell, with its halves swapped."""


def proposed(child: int, actions: tuple[int, ...]) -> Proposed:
    return Proposed(child=child, time=1.0, actions=actions, arch_id=SPACE.decode(actions).arch_id)


@pytest.fixture
def run(tmp_path):
    """A run of four children, the best one written twice, one failed, and one unfinished."""
    config = search_config("small", {"space": {"name": "nasnet", **SPACE.model_dump()}, "seed": 5})
    started = Started(run_id="r", raynas="0", time=0.0, config=config.model_dump(mode="json"))
    results = [(0.5, completed(0.5)), (0.8, completed(0.8)), (None, failed()), (0.9, completed(0.9))]
    with Journal.create(tmp_path / "run" / "journal.jsonl", started) as journal:
        for child, (reward, result) in enumerate(results):
            journal.append(proposed(child, CELLS[child]))
            journal.append(Finished(child=child, time=2.0, reward=reward, result=result))
        journal.append(proposed(4, CELLS[2]))
    return tmp_path / "run"


def test_the_best_different_cells_are_promoted_best_first(run, tmp_path):
    prepared = prepare_promotion(run, top=3, repeats=2, out=tmp_path / "out")
    assert prepared.config.strategy.options["architectures"] == (CELLS[3], CELLS[0])
    assert prepared.config.children == 4
    assert not (tmp_path / "out").exists()


def test_fewer_are_promoted_if_asked(run, tmp_path):
    prepared = prepare_promotion(run, top=1, out=tmp_path / "out")
    assert prepared.config.strategy.options["architectures"] == (CELLS[3],)


def test_space_and_data_are_the_runs_and_the_rest_is_the_recipes(run, tmp_path):
    settings = {"child": {"epochs": 7}}
    config = prepare_promotion(run, recipe="cifar_final", out=tmp_path / "out", settings=settings).config
    assert config.make_space() == SPACE
    assert (config.child.epochs, config.network.auxiliary_head) == (7, True)
    assert config.child.augmentation.cutout_size(8) == 4
    assert config.network.num_reductions == 1


def test_by_default_a_promotion_is_for_a_small_machine(run, tmp_path):
    config = prepare_promotion(run, out=tmp_path / "out").config
    assert (config.child.epochs, config.network.filters, config.network.num_reductions) == (30, 16, 1)


def test_it_is_written_down_which_run_the_cells_are_from(run, tmp_path):
    origin = prepare_promotion(run, out=tmp_path / "out").config.origin
    assert (origin.run_id, origin.folder, origin.child) == ("r", str(run), None)


def test_a_run_without_scores_has_nothing_to_promote(tmp_path):
    config = search_config("small").model_dump(mode="json")
    started = Started(run_id="r", raynas="0", time=0.0, config=config)
    Journal.create(tmp_path / "journal.jsonl", started).close()
    with pytest.raises(RunFolderError, match="nothing to promote"):
        prepare_promotion(tmp_path, out=tmp_path / "out")


def test_an_existing_run_is_not_overwritten(run):
    with pytest.raises(RunFolderError):
        prepare_promotion(run, out=run)


def test_a_misspelt_recipe_or_setting_is_named(run, tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'cifar_final'"):
        prepare_promotion(run, recipe="cifar_finl", out=tmp_path / "out")
    with pytest.raises(UsageError, match=r"child\.epoch is not an option"):
        prepare_promotion(run, out=tmp_path / "out", settings={"child": {"epoch": 3}})


def test_the_list_is_proposed_round_after_round():
    options = {"architectures": [list(cell) for cell in CELLS[:2]]}
    strategy = make_strategy("raynas.strategies.listed:Listed", SPACE, seed=0, **options)
    assert [strategy.propose().actions for _ in range(4)] == [*CELLS[:2], *CELLS[:2]]
    assert strategy.observe(strategy.propose(), 0.5) is None


def test_an_empty_list_is_refused():
    with pytest.raises(UsageError, match="architectures"):
        make_strategy("raynas.strategies.listed:Listed", SPACE, seed=0, architectures=[])


def test_repeats_are_ranked_by_their_mean(tmp_path):
    events: list[Event] = [Started(run_id="r", raynas="0", time=0.0, config={})]
    for child, (cell, accuracy) in enumerate([(0, 0.5), (1, 0.75), (0, 1.0), (1, 0.5)]):
        events.append(proposed(child, CELLS[cell]))
        result = completed(accuracy)
        events.append(Finished(child=child, time=2.0, reward=accuracy, result=result))
    run = RecordedRun(tmp_path, events)
    rows = by_architecture(run.entries)
    assert [(row.trainings, row.mean) for row in rows] == [(2, 0.75), (2, 0.625)]
    assert rows[0].standard_deviation == pytest.approx(0.25 * 2**0.5)
    assert best_architectures(run, 1) == [CELLS[0]]
