"""`python -m benchmarks [--quick] [--only NAME]`: run the benchmarks and print their tables.

The whole takes about a minute and a half, the quick one less than half a minute. Exit code 1 if
something could not be measured; never because a figure is high.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from benchmarks import install, machine, micro, profile, serving, startup
from benchmarks.children import BenchmarkError
from benchmarks.table import FULL, QUICK, Effort, Section, Text, render

Suite = Callable[[Effort], Iterator[Section | Text]]

SUITES: dict[str, Suite] = {
    "serving": serving.sections,
    "startup": startup.sections,
    "install": lambda effort: install.sections(),
    "micro": micro.sections,
    "requests": serving.request_sections,
    "profile": profile.sections,
}
"""What can be measured, in the order of the print."""

ASKED_FOR = ("requests", "profile")
"""Suites that are run only when they are named."""


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for. Returns the exit code of the process."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure the product.")
    parser.add_argument("--quick", action="store_true", help="shorter, and noisier")
    parser.add_argument("--only", choices=SUITES, action="append", help="one suite (repeatable)")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    print(f"{datetime.now(UTC).date()}: {machine.describe()}\n", flush=True)
    usual = [name for name in SUITES if name not in ASKED_FOR]
    try:
        run(options.only or usual, QUICK if options.quick else FULL)
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print(f"{time.perf_counter() - began:.0f} s in all")
    return 0


def run(names: Sequence[str], effort: Effort) -> None:
    """Run suites and print each section when it is there."""
    for name in names:
        for section in SUITES[name](effort):
            print(render(section), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
