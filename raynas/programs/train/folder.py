"""The folder of a final training: its config, its curve, and whether a training can start or resume there.

It holds training.json, curve.jsonl, Ray Train's checkpoints, and at the end the model folders of the last and
the best epoch. The names stand in raynas.files, the checkpoints' in raynas.engine.final_checkpoints.
"""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from raynas.cells.genotype import Genotype
from raynas.config import differences, merged, validated, without_credentials
from raynas.data import DIGITS
from raynas.engine.final_checkpoints import has_checkpoint
from raynas.errors import RunFolderError
from raynas.files import (
    CHECKPOINTS_FOLDER,
    CURVE_FILE,
    JOURNAL_FILE,
    TRAINING_FILE,
    parse_json,
    put_new_file,
    replace_file,
)
from raynas.models.weights import TIMM_PREFIX, weights_file
from raynas.programs.train.config import AnyTrainConfig, BaseTrainConfig, InitialWeightsConfig
from raynas.programs.train.curve import read_curve
from raynas.run.events import Origin
from raynas.run.folder import check_outlives_job

logger = logging.getLogger(__name__)

AnyConfig = TypeVar("AnyConfig", bound=BaseTrainConfig)


def check_can_start(folder: Path) -> None:
    """RunFolderError unless a new training can start in `folder`."""
    check_outlives_job(folder)
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file. Give a folder, or a path that does not exist yet.")
    if (folder / TRAINING_FILE).exists():
        raise _holds_a_training(folder)
    if (folder / JOURNAL_FILE).exists():
        raise RunFolderError(f"{folder} holds a search or a promotion. Choose another folder.")
    for name in (CHECKPOINTS_FOLDER, CURVE_FILE):
        # Ray would resume from checkpoints that it finds.
        if (folder / name).exists():
            raise RunFolderError(
                f"{folder / name} is left from an earlier training whose {TRAINING_FILE} is gone. Restore "
                "that file, or choose another folder."
            )


def write_config(folder: Path, config: AnyTrainConfig) -> None:
    """Writes training.json; `folder` is created if needed.

    Raises:
        RunFolderError: another training began in `folder` in the meantime.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, text = folder / TRAINING_FILE, config.model_dump_json(indent=1) + "\n"
    if not path.exists():
        temporary = folder / f".{TRAINING_FILE}.{uuid.uuid4().hex}"
        temporary.write_text(text)
        try:
            put_new_file(temporary, path)
        except FileExistsError:
            raise _holds_a_training(folder) from None
        finally:
            temporary.unlink(missing_ok=True)
    elif _read_config(path).get("run_id") in (None, "", config.run_id):
        replace_file(path, lambda temporary: temporary.write_text(text))
    else:
        raise _holds_a_training(folder)


def _holds_a_training(folder: Path) -> RunFolderError:
    return RunFolderError(
        f"{folder} already holds a training. Resume it (resume=True, --resume) or choose another folder."
    )


def resumed_training_config(
    folder: Path,
    settings: Mapping[str, Any],
    kind: type[AnyConfig],
    *,
    genotype: Genotype | None = None,
    recipe: str | None = None,
) -> AnyConfig:
    """The config with which the training in `folder` resumes: its own, with other workers.* and tracking.*,
    and with more epochs if asked.

    Args:
        kind: class of the config, which depends on the training's task.
        genotype, recipe: what the user gave again, to be compared with the training's own; None if nothing.
    Raises:
        RunFolderError: there is nothing to resume, or it was started with something else.
    """
    check_outlives_job(folder)
    recorded = _read_config(folder / TRAINING_FILE)
    if recorded.get("kind", "classification") != kind.task:
        command = "raynas train" if kind.task == "detection" else "raynas detect"
        raise RunFolderError(f"{folder} holds a training of another kind. Resume it with {command}.")
    before = validated(kind, recorded)
    after = validated(kind, merged(merged(recorded, _displaced(settings)), settings))
    _check_same_start(folder, before, genotype, recipe)
    _check_same_weights(folder, before.weights, after.weights)
    _check_same_training(folder, before, after)
    if not has_checkpoint(folder) and (curve := read_curve(folder, kind.summary)):
        raise RunFolderError(
            f"There is no checkpoint to resume from below {folder / CHECKPOINTS_FOLDER}, though "
            f"{len(curve)} epochs were trained. Restore it, or train anew in another folder."
        )
    return after


def training_of_weights(source: str) -> Origin | None:
    """The training in whose folder these weights lie, as its training.json names it; None if there is none.

    Raises:
        WeightsError: there are no weights, or several.
    """
    if source.startswith(TIMM_PREFIX):
        return None
    # They lie in TRAINING/model, TRAINING/best or TRAINING/checkpoints/NAME.
    for folder in weights_file(source).absolute().parents[1:3]:
        if (folder / TRAINING_FILE).is_file():
            with contextlib.suppress(RunFolderError):
                if run_id := _read_config(folder / TRAINING_FILE).get("run_id"):
                    return Origin(run_id=str(run_id), folder=str(folder))
    return None


def _displaced(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Resets whichever of workers.count and workers.nodes a new value of the other takes the place of."""
    workers = settings.get("workers", {})
    if not isinstance(workers, Mapping):
        return {}
    if workers.get("count") is not None:
        return {"workers": {"nodes": None}}
    return {"workers": {"count": "auto"}} if workers.get("nodes") is not None else {}


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RunFolderError(f"There is no training to resume: {path} does not exist.")
    try:
        recorded = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} can't be read as JSON: {error}. Restore it, or train anew.") from error
    missing = [
        name for name in ("cell", "genotype") if not isinstance(recorded, dict) or name not in recorded
    ]
    if missing:
        raise RunFolderError(f"{path} describes no training: it lacks {' and '.join(missing)}. Restore it.")
    return dict(recorded)


def _check_same_start(
    folder: Path, before: BaseTrainConfig, genotype: Genotype | None, recipe: str | None
) -> None:
    own = before.genotype
    if genotype is not None and genotype != own:
        raise RunFolderError(
            f"The training in {folder} is of the cell {before.cell}, architecture {own.arch_id}; the one "
            f"that was given is architecture {genotype.arch_id}. Leave it out, or choose another folder."
        )
    if recipe is not None and recipe != before.recipe:
        raise RunFolderError(
            f"The training in {folder} was started with the recipe {before.recipe}, not {recipe}. Leave the "
            "recipe out, or choose another folder."
        )


def _check_same_weights(
    folder: Path, before: InitialWeightsConfig | None, after: InitialWeightsConfig | None
) -> None:
    old, new = (weights.source if weights else "random weights" for weights in (before, after))
    if old != new:
        raise RunFolderError(
            f"The training in {folder} began from {old}, not from {new}. Leave the weights (--weights) out: "
            "it goes on from its own checkpoint. Or choose another folder."
        )


def _check_same_training(folder: Path, before: BaseTrainConfig, after: BaseTrainConfig) -> None:
    may_change = {"workers", "tracking"}
    changed = differences(before.model_dump(exclude=may_change), after.model_dump(exclude=may_change))
    if after.training.epochs > before.training.epochs:
        del changed["training.epochs"]
    if "data.source" in changed and _is_gone(before.data.source):
        del changed["data.source"]
        logger.warning(
            "The images of the training in %s are no longer at %s. It goes on with those at %s. They must be "
            "the same: raynas can't compare them.",
            folder,
            without_credentials(before.data.source),
            without_credentials(after.data.source),
        )
    for field, (old, new) in changed.items():
        raise RunFolderError(
            f"The training in {folder} was started with {field} = {old!r}, not {new!r}. On resume only "
            "workers.* and tracking.* can change, and training.epochs can grow. Leave the rest out, or start "
            "a new training in another folder."
        )


def _is_gone(source: str) -> bool:
    """Whether a data source is a path of this machine at which nothing lies any more."""
    return source != DIGITS and "://" not in source and not os.path.exists(os.path.expanduser(source))
