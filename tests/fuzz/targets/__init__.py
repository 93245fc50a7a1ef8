"""The targets: everything that raynas reads from disk or the command line, one module for each kind."""

from __future__ import annotations

from tests.fuzz.targets import (
    checkpoint,
    command_line,
    config,
    detection,
    genotype,
    images,
    journal,
    model,
    parquet,
    resume,
    stream,
    tar,
    training,
    weights,
)
from tests.fuzz.trial import Target

# Shares balance the cost: no target takes more than a few times the processor time of another.
TARGETS = {
    target.name: target
    for target in (
        Target("journal", journal.start, 20),
        Target("resume", resume.start, 10),
        Target("genotype", genotype.start, 20),
        Target("settings", config.start_settings, 15),
        Target("recorded", config.start_recorded, 10),
        Target("parquet", parquet.start, 6),
        Target("stream", stream.start, 6),
        Target("images", images.start, 8),
        Target("tar", tar.start, 6),
        Target("detection", detection.start, 6),
        Target("model", model.start, 6),
        Target("weights", weights.start, 6),
        Target("checkpoint", checkpoint.start, 3),
        Target("training", training.start, 6),
        Target("command", command_line.start, 3),
    )
}
