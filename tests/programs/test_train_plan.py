"""`raynas train`: the plan that it prints, and what it refuses before anything is started."""

from __future__ import annotations

import pytest

from raynas.cli.training import plan_lines
from raynas.errors import RunFolderError, UsageError
from raynas.train import CURVE_FILE, prepare_training, read_curve
from raynas.train_recipes import TRAIN_RECIPES, train_config
from raynas.training.final_config import EpochSummary
from search_spaces.nasnet import NASNET_A

WORDS = {"cell": "nasnet_a", "genotype": NASNET_A.to_dict()}


def prepared(tmp_path, **settings):
    return prepare_training(NASNET_A, cell="nasnet_a", out=tmp_path / "out", settings=settings)


@pytest.mark.parametrize("recipe", TRAIN_RECIPES)
def test_every_recipe_is_complete(recipe):
    config = train_config(recipe, WORDS)
    assert config.recipe == recipe
    assert config.network.auxiliary_head


def test_the_imagenet_recipes_have_the_papers_numbers():
    mobile, large = (train_config(name, WORDS).training for name in ("imagenet_mobile", "imagenet_large"))
    assert (mobile.optimizer.rate(32 * 50), large.optimizer.rate(16 * 100)) == (2.0, 1.5)
    for training in (mobile, large):
        assert (training.optimizer.name, training.optimizer.epsilon, training.optimizer.decay) == (
            "rmsprop",
            1.0,
            0.9,
        )
        assert (training.label_smoothing, training.average_decay, training.gradient_clip) == (
            0.1,
            0.9999,
            10.0,
        )
        assert training.schedule.factor(2.4, 312) == 0.97


def test_the_plan_says_what_is_going_to_be_done(tmp_path):
    training = prepared(tmp_path, training={"epochs": 600})
    text = "\n".join(plan_lines(training, images_per_second=100.0))
    assert "600 epochs of 50 updates, 30,000 in all; 32 images each" in text
    assert "2.7 worker hours" in text
    assert "note:" not in text


def test_the_plan_warns_of_norms_that_do_not_settle(tmp_path):
    training = prepared(tmp_path, training={"epochs": 2}, network={"conventions": {"norm_momentum": 3e-4}})
    assert any("norm_momentum = 0.0003 is for long trainings" in line for line in plan_lines(training, None))


def test_nothing_is_written_before_training_begins(tmp_path):
    prepared(tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_training_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "training.json").write_text("{}")
    with pytest.raises(RunFolderError, match="Add --resume"):
        prepared(tmp_path)


def test_a_missing_or_garbled_training_can_not_be_resumed(tmp_path):
    with pytest.raises(RunFolderError, match=r"There is no training to resume: .*training\.json"):
        prepare_training(None, cell="", out=tmp_path, resume=True)
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(RunFolderError, match="can't be read as JSON"):
        prepare_training(None, cell="", out=tmp_path, resume=True)


def test_resumed_with_other_settings_it_is_refused_but_not_with_other_workers(tmp_path):
    config = train_config("cifar_final", WORDS)
    (tmp_path / "training.json").write_text(config.model_dump_json())
    resumed = prepare_training(None, cell="", out=tmp_path, resume=True, settings={"workers": {"count": 2}})
    assert resumed.config.workers.count == 2
    assert resumed.config.run_id == config.run_id
    with pytest.raises(RunFolderError, match="other settings"):
        prepare_training(None, cell="", out=tmp_path, resume=True, settings={"training": {"epochs": 5}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training": {"epoch": 3}}, r"training\.epoch is not an option"),
        ({"network": {"stem": "imagenet", "num_reductions": 2}}, "Images of 8 pixels are too small"),
        ({"data": {"source": "nowhere"}}, "nowhere"),
        ({"tracking": {"registered_model": "a/b"}}, r"tracking\.registered_model = 'a/b': .*neither '/' nor"),
        ({"tracking": {"registered_model": " "}}, r"tracking\.registered_model = ' '"),
        ({"tracking": {"registered_model": "..a"}}, r"tracking\.registered_model = '\.\.a'"),
        ({"workers": {"count": 2, "at_least": 3}}, r"at_least = 3 is more than workers\.count = 2"),
    ],
)
def test_what_can_not_be_used_is_named(tmp_path, settings, message):
    with pytest.raises(UsageError, match=message):
        prepared(tmp_path, **settings)


def summary_line(epoch: int) -> str:
    values = {"train_loss": 1.0, "top1": 0.5, "top5": 0.9, "learning_rate": 0.1, "images_per_second": 1.0}
    return EpochSummary(epoch=epoch, seconds=1.0, **values).model_dump_json() + "\n"


def test_a_torn_line_of_the_curve_is_dropped_and_a_damaged_one_named(tmp_path):
    curve = tmp_path / CURVE_FILE
    curve.write_text(summary_line(1) + summary_line(2)[:20])
    assert [summary.epoch for summary in read_curve(tmp_path)] == [1]
    assert curve.read_text() == summary_line(1)
    curve.write_text("{}\n" + summary_line(2))
    with pytest.raises(RunFolderError, match=r"curve\.jsonl is damaged"):
        read_curve(tmp_path)
