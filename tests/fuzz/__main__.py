"""``python -m tests.fuzz``: see the package."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.benchmarks import last_line
from tests.fuzz.formats import FORMATS, make_examples
from tests.fuzz.harness import try_cases


def main() -> None:
    """Try a number of cases and tell of every one that ended as none should."""
    parser = argparse.ArgumentParser(description=sys.modules["tests.fuzz"].__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", choices=list(FORMATS))
    parser.add_argument("--case", type=int)
    given = parser.parse_args()
    cases = [given.case] if given.case is not None else range(given.count)
    if given.format:
        cases = [n for n in cases if list(FORMATS)[n % len(FORMATS)] == given.format]
    with tempfile.TemporaryDirectory() as folder:
        make_examples(Path(folder), run)
        outcomes = []
        for outcome in try_cases(Path(folder), cases, given.seed):
            outcomes.append(outcome)
            for problem in outcome.problems:
                print(f"case {outcome.case} ({outcome.format}): {problem}\n", flush=True)
    bad = Counter(o.format for o in outcomes if o.problems)
    for name, tried in Counter(o.format for o in outcomes).items():
        print(f"{name:<12} {tried:>5} tried, {bad[name]:>4} bad")
    slowest = max(o.seconds for o in outcomes)
    last_line(
        "fuzz", {"cases": len(outcomes), "bad": sum(bad.values()), "slowest_seconds": slowest, "seed": given.seed}
    )
    sys.exit(1 if bad else 0)


def run(*arguments: object) -> None:
    """The command line in a process of its own."""
    subprocess.run([sys.executable, "-m", "flows.cli", *map(str, arguments)], check=True, capture_output=True)


if __name__ == "__main__":
    main()
