"""What MLflow shows of a child: params, metrics, tags and artifacts.

It depends on the journal alone, so that a replay writes the same values again.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_PARAM_VAL_LENGTH, MAX_TAG_VAL_LENGTH

from raynas.cells.space import SearchSpace
from raynas.cells.traits import traits
from raynas.child import Child
from raynas.config import without_credentials
from raynas.run.records import ChildRecord
from raynas.tracking.pictures import IMAGES_TAG, cell_pictures

RUN_ID_TAG = "raynas.run_id"
"""Tag with raynas's own ID of the run or training."""
KIND_TAG = "raynas.kind"
"""Tag with 'search', 'child' or 'training'."""
CHILD_TAG = "raynas.child"
"""Tag with the child's number."""
ARCH_ID_TAG = "raynas.arch_id"
POLICY_TAG = "raynas.policy_version"
SHORT_ID = 8
"""Characters of an arch_id in a child's name; `raynas show` finds the cell by them."""


@dataclass(frozen=True, slots=True)
class ChildPage:
    """The MLflow run of one finished child, ready to be written."""

    child: int
    name: str
    tags: dict[str, str]
    params: list[Param]
    metrics: list[Metric]
    artifacts: dict[str, str | bytes]
    """Content by path."""
    status: str
    """Status in MLflow: FINISHED or FAILED."""
    start_ms: int
    end_ms: int


def child_page(
    record: ChildRecord, child: Child, space: SearchSpace, *, with_pictures: bool = False
) -> ChildPage:
    """The page of a finished child.

    Args:
        with_pictures: draws its cells for MLflow's image charts too.
    """
    # Imported late: opening a tracker and checking the store need no drawing.
    from raynas.cells.draw import genotype_svg

    assert record.finished is not None
    result = record.finished.result
    name, end_ms = _name(record), milliseconds(record.finished.time)
    tags = {KIND_TAG: "child", CHILD_TAG: str(child.id), ARCH_ID_TAG: child.arch_id}
    if "policy_version" in record.proposed.info:
        tags[POLICY_TAG] = str(record.proposed.info["policy_version"])
    if result.reason:
        # A reason is the text of any error, and may quote a URI with its password.
        tags["raynas.reason"] = without_credentials(result.reason)[:MAX_TAG_VAL_LENGTH]
    if record.finished.reused_from is not None:
        tags["raynas.reused_from"] = str(record.finished.reused_from)
    if record.finished.memo is not None:
        tags["raynas.memo_run"] = record.finished.memo.run_id
        tags["raynas.memo_child"] = str(record.finished.memo.child)
    artifacts: dict[str, str | bytes] = {
        "genotype.json": child.genotype.to_json(),
        "cell.svg": genotype_svg(child.genotype, title=name),
    }
    if with_pictures:
        artifacts |= cell_pictures(child.genotype, time_ms=end_ms)
        tags[IMAGES_TAG] = "True"
    return ChildPage(
        child=child.id,
        name=name,
        tags=tags,
        params=[param(key, value) for key, value in _facts(record, child, space).items()],
        metrics=list(_curve(record)) + list(_outcome(record)),
        artifacts=artifacts,
        status="FAILED" if result.status == "failed" else "FINISHED",
        start_ms=milliseconds(record.proposed.time),
        end_ms=end_ms,
    )


def param(key: str, value: Any) -> Param:
    """A param, cut to MLflow's limits; values other than strings are written as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return Param(_key(key), text[:MAX_PARAM_VAL_LENGTH])


def metric(key: str, value: float, *, step: int, time: float) -> Metric:
    """A point of a curve; `time` is in seconds since 1970.

    MLflow ignores a point with the same key, value, step and time as an earlier one, so it is safe to write
    one again.
    """
    return Metric(_key(key), float(value), milliseconds(time), step)


def milliseconds(seconds: float) -> int:
    """Seconds as whole milliseconds, in which MLflow keeps times."""
    return round(seconds * 1000)


def _name(record: ChildRecord) -> str:
    """What a list of runs and the legend of a chart show: how good, which cell, which child."""
    assert record.result is not None
    accuracy = record.result.accuracy
    rank = record.result.status if accuracy is None else f"{accuracy:.4f}"
    return f"{rank} {record.proposed.arch_id[:SHORT_ID]} child {record.id}"


def _traits(child: Child) -> Iterator[tuple[str, Any]]:
    """What the cells are like. MLflow sorts params by name: 'cell' comes before the decisions' 'normal'."""
    found = traits(child.genotype)
    yield "cell.depth_normal", found.normal_depth
    yield "cell.depth_reduction", found.reduction_depth
    yield "cell.skip_connections", found.skip_connections
    for op, share in found.shares.items():
        yield f"cell.share.{op}", round(share, 3)


def _facts(record: ChildRecord, child: Child, space: SearchSpace) -> dict[str, Any]:
    assert record.result is not None
    choices = {
        decision.name: decision.choices[action]
        for decision, action in zip(space.decisions, record.proposed.actions, strict=True)
    }
    facts = {"status": record.result.status, "arch_id": record.proposed.arch_id}
    if "policy_version" in record.proposed.info:
        facts["policy_version"] = record.proposed.info["policy_version"]
    return dict(_traits(child)) | choices | facts


def _curve(record: ChildRecord) -> Iterator[Metric]:
    assert record.finished is not None
    result, end = record.finished.result, record.finished.time
    for report in result.curve:
        # Reports count seconds from the child's beginning, while the journal knows the moment of its end
        # alone. Clocks of worker and driver may differ, so no point comes after the end.
        time = min(end - result.seconds + report.seconds, end)
        yield metric("accuracy", report.accuracy, step=report.epoch, time=time)
        yield metric("train_loss", report.train_loss, step=report.epoch, time=time)


def _outcome(record: ChildRecord) -> Iterator[Metric]:
    assert record.finished is not None
    result, proposed = record.finished.result, record.proposed
    values = {
        "final_accuracy": result.accuracy,
        "reward": record.reward,
        "parameters": proposed.parameters,
        "mult_adds": proposed.mult_adds,
        "activations": proposed.activations,
        "latency_ms": result.latency_ms,
        "seconds": result.seconds,
    }
    for key, value in values.items():
        if value is not None and not math.isnan(value):
            # At step 0, MLflow draws a bar for each child; a point at its last epoch would be a lonely dot.
            yield metric(key, value, step=0, time=record.finished.time)


def _key(name: str) -> str:
    # The characters that MLflow allows in the name of a param or a metric. It refuses names that are no paths
    # in their shortest form, such as those that an empty part or '..' between slashes makes.
    parts = re.sub(r"[^\w\-. :/]", "_", name)[:MAX_ENTITY_KEY_LENGTH].split("/")
    return "/".join("_" if part in ("", ".", "..") else part for part in parts)[:MAX_ENTITY_KEY_LENGTH]
