"""The folder of a final training: its config, its curve, and whether a training may begin or go on there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from raynas.cells.genotype import Genotype
from raynas.config import differences, merged, validated
from raynas.engine.final_checkpoints import CHECKPOINTS_FOLDER, has_checkpoint
from raynas.errors import RunFolderError
from raynas.files import JOURNAL_FILE, drop_torn_line, parse_json, replace_file
from raynas.programs.train.config import TrainConfig
from raynas.training.final_config import EpochSummary

CONFIG_FILE, CURVE_FILE = "training.json", "curve.jsonl"


def check_is_free(folder: Path) -> None:
    """RunFolderError unless a training may begin in `folder`."""
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"--out {folder} is a file. Give a folder, or a path that does not exist yet.")
    if (folder / CONFIG_FILE).exists():
        raise RunFolderError(
            f"{folder} holds a training already. Add --resume to go on with it, or give another --out."
        )
    if (folder / JOURNAL_FILE).exists():
        raise RunFolderError(f"{folder} holds a search or a promotion. Give another --out.")
    for name in (CHECKPOINTS_FOLDER, CURVE_FILE):
        # Ray would go on from checkpoints that it finds.
        if (folder / name).exists():
            raise RunFolderError(
                f"{folder / name} is of an earlier training, whose {CONFIG_FILE} is not there. Restore that, "
                "or give another --out."
            )


def write_config(folder: Path, config: TrainConfig) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = config.model_dump_json(indent=1) + "\n"
    replace_file(folder / CONFIG_FILE, lambda path: path.write_text(text))


def resumed_config(
    folder: Path, settings: Mapping[str, Any], *, genotype: Genotype | None = None, recipe: str | None = None
) -> TrainConfig:
    """What the training in `folder` goes on with: its own config with other workers.* and tracking.*.

    Args:
        genotype, recipe: as the user gave them again; None: not given.
    Raises:
        RunFolderError: there is nothing to go on with, or it was started with something else.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise RunFolderError(f"There is no training to resume: {path} does not exist.")
    recorded = _recorded(path)
    before = validated(TrainConfig, recorded)
    after = validated(TrainConfig, merged(merged(recorded, _forgotten(settings)), settings))
    _check_same_start(folder, before, genotype, recipe)
    unchanged = {"workers": before.workers, "tracking": before.tracking, "run_id": before.run_id}
    changed = differences(before.model_dump(), after.model_copy(update=unchanged).model_dump())
    for field, (old, new) in changed.items():
        raise RunFolderError(
            f"The training in {folder} was started with {field} = {old!r}; now {field} = {new!r} is asked. "
            "Resumed, it can have other workers.* and tracking.* alone. Leave the rest out, or start a new "
            "one with another --out."
        )
    if not has_checkpoint(folder) and (curve := read_curve(folder)):
        raise RunFolderError(
            f"There is no checkpoint to go on from below {folder / CHECKPOINTS_FOLDER}, though {len(curve)} "
            "epochs were trained. Restore it, or train anew with another --out."
        )
    return after


def read_curve(folder: Path) -> list[EpochSummary]:
    """The epochs that were told before, without a line that was torn by a crash."""
    path = folder / CURVE_FILE
    if not path.is_file():
        return []
    drop_torn_line(path)
    try:
        return [EpochSummary.model_validate_json(line) for line in path.read_bytes().splitlines()]
    except ValidationError as error:
        raise RunFolderError(
            f"{path} is damaged: {error.errors()[0]['msg']}. Correct or remove it; the checkpoints are apart."
        ) from None


def append_to_curve(folder: Path, summary: EpochSummary) -> None:
    with (folder / CURVE_FILE).open("a") as file:
        file.write(summary.model_dump_json() + "\n")


def _forgotten(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of workers.count and workers.nodes only one can be given: a new one takes the place of the other."""
    workers = settings.get("workers", {})
    if not isinstance(workers, Mapping):
        return {}
    if workers.get("count") is not None:
        return {"workers": {"nodes": None}}
    return {"workers": {"count": "auto"}} if workers.get("nodes") is not None else {}


def _recorded(path: Path) -> dict[str, Any]:
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
    folder: Path, before: TrainConfig, genotype: Genotype | None, recipe: str | None
) -> None:
    own = Genotype.from_dict(before.genotype)
    if genotype is not None and genotype != own:
        raise RunFolderError(
            f"The training in {folder} is of the cell {before.cell}, architecture {own.arch_id}; the one "
            f"that was given is architecture {genotype.arch_id}. Leave it out, or give another --out."
        )
    if recipe is not None and recipe != before.recipe:
        raise RunFolderError(
            f"The training in {folder} was started with the recipe {before.recipe}; now {recipe} is asked. "
            "Leave it out, or give another --out."
        )
