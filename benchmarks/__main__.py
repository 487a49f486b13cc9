"""`python -m benchmarks`: the gateway beside others in one table; `--only NAME` for other suites.

    table       CPU time, latency, memory and start-up of ours and of others, one upstream
    requests    CPU time of a whole answer alone, in ten seconds (for work on the hot path)
    profile     where the CPU time goes
    startup     time to the first answer of `arno serve`, import times
    install     size of what is installed
    micro       single steps of the hot path
    translation an event from each provider's dialect into each client's

Exit code 1 if something of ours could not be measured; never because a figure is high.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    children,
    compare,
    install,
    machine,
    micro,
    nginx,
    peers,
    profile,
    report,
    startup,
    translation,
)
from benchmarks import requests as short
from benchmarks.children import BenchmarkError
from benchmarks.compare import Figures
from benchmarks.nginx import Nginx
from benchmarks.subjects import Subject, own
from benchmarks.table import FULL, QUICK, Effort, Section, Text, render

Suite = Callable[[Effort], Iterator[Section | Text]]

TABLE = "table"
SUITES: dict[str, Suite] = {
    "requests": short.sections,
    "profile": profile.sections,
    "startup": startup.sections,
    "install": lambda effort: install.sections(),
    "micro": micro.sections,
    "translation": translation.sections,
}
"""What can be measured besides the table."""


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="shorter, and noisier")
    parser.add_argument(
        "--only", choices=[TABLE, *SUITES], action="append", help="one suite (repeatable)"
    )
    parser.add_argument("--all", action="store_true", help="the table and all suites")
    parser.add_argument("--no-peers", action="store_true", help="no other gateways in the table")
    parser.add_argument(
        "--row", action="append", help="only rows whose names begin so (repeatable)"
    )
    parser.add_argument("--json", type=Path, help="write the table to this file, too")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for. Returns the exit code of the process."""
    options = _options(arguments)
    began = time.perf_counter()
    children.many_files()
    print(f"{datetime.now(UTC).date()}: {machine.describe()}; {machine.load()}\n", flush=True)
    names = options.only or [TABLE]
    effort = QUICK if options.quick else FULL
    try:
        for name in [TABLE, *SUITES] if options.all else names:
            if name == TABLE:
                print_table(options, effort)
            else:
                for section in SUITES[name](effort):
                    print(render(section), flush=True)
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print(f"{time.perf_counter() - began:.0f} s in all; {machine.load()}")
    return 0


def print_table(options: argparse.Namespace, effort: Effort) -> None:
    """Measure and print the table. Raises BenchmarkError if a row of ours is not whole."""
    server = _nginx(fetch=not options.no_peers)
    usable = None if isinstance(server, str) else server
    rows: list[Figures] = []
    with compare.ground(usable) as base:
        for subject in _subjects(options, server, certified=base.certificate is not None):
            print(f"{subject.name} ...", file=sys.stderr, flush=True)
            rows.append(compare.figures(base, subject, effort))
        upstream = base.upstream
    gates = compare.gates(rows)
    for text in (report.table(rows, upstream), report.gate_table(gates), report.remarks(rows)):
        print(render(text), flush=True)
    print("\n".join(report.ratios(rows)) + "\n", flush=True)
    if options.json is not None:
        report.write(options.json, rows, upstream)
    faults = [f"{row.name}: {note}" for row in rows if row.ours for note in row.notes]
    if faults:
        raise BenchmarkError("; ".join(faults))


def _nginx(*, fetch: bool) -> Nginx | str:
    """nginx, or why there is none."""
    try:
        return nginx.found(fetch=fetch)
    except BenchmarkError as error:
        return str(error)


def _subjects(
    options: argparse.Namespace, server: Nginx | str, *, certified: bool
) -> Iterator[Subject]:
    wanted = tuple(options.row) if options.row else ("",)
    yield from (one for one in own(certified=certified) if one.name.startswith(wanted))
    if not options.no_peers:
        yield from (
            one for one in peers.subjects(server, tls=certified) if one.name.startswith(wanted)
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
