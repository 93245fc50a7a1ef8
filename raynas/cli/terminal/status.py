"""`raynas status`: the state of a run in lines of text or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from raynas.cli.terminal.commands import resume_search
from raynas.cli.terminal.quantities import duration
from raynas.run.status import ChildCounts, Status


def print_status(status: Status, folder: Path, console: Console, *, now: float) -> None:
    """Prints one line per fact.

    Args:
        now: current time in seconds since the epoch.
    """
    console.print(f"{folder}")
    for name, text in _lines(status, folder, now):
        console.print(f"{name:<12}{text}")


def status_json(status: Status, folder: Path) -> str:
    return json.dumps({"run": str(folder)} | status.model_dump(mode="json"), indent=2)


def _lines(status: Status, folder: Path, now: float) -> Iterator[tuple[str, str]]:
    yield "children", _children(status.children)
    for reason, count in status.failures.items():
        yield "failed", f"{count:,}  {reason}"
    if status.children.infeasible:
        yield "infeasible", f"{status.children.infeasible:,} proposals beyond the limits, not trained"
    if status.best:
        accuracy = "" if status.best.accuracy is None else f"{status.best.accuracy:.4f}  "
        yield "best", f"{accuracy}{status.best.arch_id}  (child {status.best.child})"
    if status.children_per_hour is not None:
        active = duration(status.active_seconds)
        yield "rate", f"{status.children_per_hour:,.1f} children per hour, over {active} of work"
    if status.utilisation is not None:
        yield "workers", f"{status.utilisation:.0%} of their time spent training"
    if status.seconds_left:
        once = " once it is resumed" if status.driver == "gone" else ""
        yield "time left", f"about {duration(status.seconds_left)}{once}"
    yield "driver", _driver(status, now)
    if status.driver == "gone" and not status.is_complete:
        yield "resume with", resume_search(folder)


def _children(counts: ChildCounts) -> str:
    total = "" if counts.asked is None else f" of {counts.asked:,}"
    reused = f"completed ({counts.reused:,} reused)" if counts.reused else "completed"
    names = ("stopped", "failed", "running", "waiting", "interrupted", "to_come")
    parts = [(name.replace("_", " "), getattr(counts, name)) for name in names]
    parts.insert(0, (reused, counts.completed))
    return f"{counts.done:,}{total} done; " + ", ".join(f"{count:,} {name}" for name, count in parts if count)


def _driver(status: Status, now: float) -> str:
    ago = f"last event {duration(max(now - status.last_event, 0.0))} ago"
    start = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(status.driver_since))
    if status.driver == "running":
        return f"running since {start}, {duration(max(now - status.driver_since, 0.0))}; {ago}"
    if status.is_complete:
        return f"ended, all children are done; started {start}; {ago}"
    if status.driver == "gone":
        end = f"ended ({status.ended_by})" if status.ended_by else "gone"
        return f"{end}, the run is unfinished; started {start}; {ago}"
    return f"not on this machine, may be running on another; started {start}; {ago}"
