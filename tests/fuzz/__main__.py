"""`python -m tests.fuzz`: feeds mutated inputs to everything that raynas reads, in several processes.

Prints a line per target, and the number of the input behind each finding: `--target NAME --only NUMBER`
repeats it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from tests.fuzz.processes import fuzz
from tests.fuzz.targets import TARGETS
from tests.fuzz.trial import Tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="number of inputs of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--target", choices=sorted(TARGETS), action="append", help="only this target; repeatable"
    )
    parser.add_argument("--only", type=int, help="try only the input with this number")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    targets = [TARGETS[name] for name in arguments.target or TARGETS]
    total = sum(target.share for target in targets)
    ranges = {target.name: range(-(-arguments.inputs * target.share // total)) for target in targets}
    if arguments.only is not None:
        ranges = {name: range(arguments.only, arguments.only + 1) for name in ranges}
    tallies = fuzz(targets, ranges, seed=arguments.seed, num_workers=arguments.workers)
    if arguments.json:
        print(json.dumps({name: asdict(tally) for name, tally in tallies.items()}))
    else:
        _print(tallies)
    return 1 if any(tally.findings for tally in tallies.values()) else 0


def _print(tallies: dict[str, Tally]) -> None:
    columns = ("inputs", "refused", "accepted", "findings", "ms each", "slowest")
    print(f"{'target':<12}" + "".join(f"{column:>10}" for column in columns) + "  (its number)")
    whole = Tally()
    for name, tally in [*tallies.items(), ("all", whole)]:
        print(
            f"{name:<12}{tally.inputs:>10,}{tally.refused:>10,}{tally.accepted:>10,}{len(tally.findings):>10,}"
            f"{1000 * tally.cpu_seconds / max(tally.inputs, 1):>10.2f}{tally.slowest_seconds:>9.3f}s  "
            f"{tally.slowest_input if tally is not whole else ''}"
        )
        if tally is not whole:
            whole.add(tally)
    for name, tally in tallies.items():
        for signature, texts in tally.findings.items():
            print(f"\n== {name}: {signature} ({len(texts):,} inputs)\n{texts[0]}")


if __name__ == "__main__":
    sys.exit(main())
