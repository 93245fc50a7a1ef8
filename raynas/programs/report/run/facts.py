"""What a run cost, where and how it was run, and all its settings: the tables at the end of its report."""

from __future__ import annotations

import json
import statistics
import time

from raynas.config import without_credentials
from raynas.errors import shortened
from raynas.programs.report.document import Figure, Paragraph, Section, Table, facts
from raynas.programs.report.run.data import RunData
from raynas.programs.report.run.history import num_different
from raynas.run.events import Driver, Resumed, Started

MAX_SETTING_LENGTH = 500
"""Characters of a setting's value."""


def cost_of_run(run: RunData) -> Section:
    blocks: list[Paragraph | Table | Figure] = [
        facts([*_counts(run), *_times(run)], names=("what", "how much"))
    ]
    if run.status.failures:
        rows = [(f"{count:,}", without_credentials(reason)) for reason, count in run.status.failures.items()]
        caption = "Failures by reason; a number in a reason is written N."
        blocks.append(Table(("children", "reason"), tuple(rows), caption))
    return Section("What it cost", tuple(blocks))


def circumstances_of_run(run: RunData) -> Section:
    """Seed, versions, and each driver's machine."""
    rows = [
        ("run", run.recorded.started.run_id),
        ("began", _moment(run.recorded.started.time)),
        ("last event", _moment(run.status.last_event)),
        ("seed", str(run.flat.get("seed", "unknown"))),
        ("reward", run.chosen("reward", "accuracy")),
        ("raynas", run.recorded.started.raynas),
    ]
    drivers = [event for event in run.recorded.events if isinstance(event, Started | Resumed)]
    for number, event in enumerate(drivers, start=1):
        name = "driver" if len(drivers) == 1 else f"driver {number}"
        rows.append((name, f"from {_moment(event.time)}{_driver(event.driver)}"))
    note = (
        "This is one run with one seed: another seed gives other children. The strategy, the split of the "
        "data and each child draw from this seed and the child's number alone."
    )
    return Section("How it was run", (facts(rows, names=("what", "value")), Paragraph(note)))


def settings(run: RunData) -> Section:
    rows = [(key, _setting(value)) for key, value in run.flat.items()]
    return Section("All settings", (facts(rows, names=("setting", "value")),) if rows else (), is_folded=True)


def _counts(run: RunData) -> list[tuple[str, str]]:
    counts = run.status.children
    rows = {
        "children that have ended": counts.done,
        "of these completed": counts.completed,
        "of these stopped early": counts.stopped,
        "of these failed": counts.failed,
        "of these with the score of an equal cell": run.num_reused,
        "different architectures among them": num_different(child.record for child in run.ended),
        "children that have not ended": counts.running + counts.waiting + counts.interrupted,
        "infeasible proposals": counts.infeasible,
    }
    return [(what, f"{count:,}") for what, count in rows.items()]


def _times(run: RunData) -> list[tuple[str, str]]:
    results = [child.record.result for child in run.ended]
    seconds = [result.seconds for result in results if result is not None and result.seconds > 0]
    rows = [
        ("worker hours of training", f"{sum(seconds) / 3600.0:,.3f}"),
        ("hours with a driver at work", f"{run.status.active_seconds / 3600.0:,.3f}"),
    ]
    if run.status.utilisation is not None:
        rows.append(("share of the workers' time in training", f"{100.0 * run.status.utilisation:.1f} %"))
    if run.status.children_per_hour is not None:
        rows.append(("children per hour at work", f"{run.status.children_per_hour:,.1f}"))
    if seconds:
        rows.append(("seconds per trained child, mean", f"{sum(seconds) / len(seconds):,.2f}"))
        rows.append(("seconds per trained child, median", f"{statistics.median(seconds):,.2f}"))
    return rows


def _driver(driver: Driver | None) -> str:
    if driver is None:
        return ", on a machine that was not recorded"
    children = "1 child" if driver.slots == 1 else f"{driver.slots:,} children"
    parts = [f" on {driver.host}, {children} at a time"]
    if driver.machine:
        parts.append(driver.machine)
    if driver.versions:
        parts.append(", ".join(f"{name} {version}" for name, version in driver.versions.items()))
    return "; ".join(parts)


def _setting(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return shortened(text, MAX_SETTING_LENGTH)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
