"""Small valid inputs, which mutations start from."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from raynas.child import ChildResult, EpochReport, LimitsConfig
from raynas.nn import Complexity
from raynas.programs.search.recipes import search_config
from raynas.run.events import Driver, Resized, Resumed, Started
from raynas.run.journal import Journal
from raynas.run.run import Run

SPACE = {"name": "nasnet", "num_blocks": 1, "operations": ["identity", "conv_1x1"], "combiners": ["add"]}
STRATEGIES: tuple[dict[str, Any], ...] = (
    {"name": "random"},
    {"name": "ppo", "batch_size": 2, "hidden_units": 4, "passes": 1},
)


class Bomb:
    """Creates the file `path` when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def bombs(path: Path) -> list[bytes]:
    """Pickles that create a file if they are loaded: bare ones, and one in torch's archive format."""
    bare = [pickle.dumps(Bomb(path), protocol) for protocol in (0, 2, 4)]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", bare[1])
        archive.writestr("archive/version", "3\n")
    return [*bare, stream.getvalue()]


def journal_lines(path: Path, *, strategy: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a run whose children were scored, reused, failed, refused or interrupted."""
    overrides = {"space": SPACE, "strategy": strategy, "children": 5, "equal_cells": "reuse"}
    config = search_config("small", overrides)
    started = Started(
        run_id="1f", raynas="0", time=1.0, config=config.model_dump(mode="json"),
        driver=Driver(host="here", slots=2),
    )  # fmt: skip
    sizes = iter((100, 200, 900, *[300] * 50))
    path.unlink(missing_ok=True)
    with Journal.create(path, started) as journal:
        space = config.make_space()
        run = Run(
            space,
            config.make_strategy(space),
            num_children=5,
            journal=journal,
            measure=lambda _: Complexity(next(sizes), 10, 20),
            limits=LimitsConfig(parameters=800),
            reuses=True,
        )
        for number in range(4):
            child = run.next_child()
            if child is not None and number != 3:
                run.finish(child.id, _result(number))
        journal.append(Resized(time=8.0, slots=1))
        journal.append(Resumed(time=9.0, children=6, driver=Driver(host="there", slots=1)))
    return [json.loads(line) for line in path.read_text().splitlines()]


def _result(number: int) -> ChildResult:
    if number == 1:
        return ChildResult(status="failed", reason="CUDA out of memory (in worker 3)", seconds=0.5)
    report = EpochReport(epoch=1, accuracy=0.5 + number / 10, train_loss=1.0, seconds=2.0)
    return ChildResult(status="completed", accuracy=report.accuracy, curve=(report,), seconds=2.5)


def picture(kind: str = "PNG", *, mode: str = "RGB", side: int = 6, value: int = 0) -> bytes:
    """An encoded image."""
    image = Image.fromarray(np.arange(side * side, dtype=np.uint8).reshape(side, side) + np.uint8(value))
    stream = io.BytesIO()
    image.convert(mode).save(stream, kind)
    return stream.getvalue()


def parquet_bytes(
    *,
    num_rows: int = 6,
    is_plain: bool = False,
    compression: str = "snappy",
    has_names: bool = True,
    label: int = 1,
) -> bytes:
    """A shard in the Hugging Face layout, with two classes in row groups of four."""
    contents = [picture(value=row) for row in range(num_rows)]
    cells = contents if is_plain else [{"bytes": content, "path": None} for content in contents]
    kind = pa.binary() if is_plain else pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = pa.array([row % 2 * label for row in range(num_rows)], pa.int64())
    table = pa.table({"image": pa.array(cells, kind), "label": labels})
    if has_names:
        features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=4, compression=compression)
    return stream.getvalue()
