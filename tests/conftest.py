"""What holds for the whole suite: external programs, and the report on those missing.

Runs under pytest-xdist as well: a worker notes a missing program in the test's report, the
controller collects the notes and prints them once.
"""

from collections import Counter

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings

from tests.externals import EXTERNALS, find, required
from tests.shared import SHARED

MISSING = "missing external"

# A machine under load is slow without being wrong: pytest-timeout ends what hangs.
settings.register_profile("arno", deadline=None)
settings.load_profile("arno")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose external program is missing, or fail it where all are required."""
    names = [name for mark in item.iter_markers("external") for name in mark.args]
    problems = {name: find(name).problem for name in names if find(name).problem}
    if not problems:
        return
    item.user_properties.extend((MISSING, name) for name in problems)
    reason = "; ".join(problems.values())
    if required():
        pytest.fail(f"{reason} (ARNO_REQUIRE_EXTERNALS is set)", pytrace=False)
    pytest.skip(reason)


def _missing(reporter: TerminalReporter) -> Counter[str]:
    """How many tests did not run, by the external that they miss."""
    reports = {
        report.nodeid: report
        for outcome in ("skipped", "failed", "error")
        for report in reporter.stats.get(outcome, [])
        if isinstance(report, pytest.TestReport)
    }
    return Counter(
        str(value)
        for report in reports.values()
        for key, value in report.user_properties
        if key == MISSING
    )


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Name what could not be run here, and what to install for it."""
    missing = _missing(terminalreporter)
    if SHARED is None:
        terminalreporter.write_line("not run: tests of the shared recordings (folder not here)")
    for name in sorted(missing):
        external = EXTERNALS[name]
        terminalreporter.write_line(
            f"not run: {missing[name]} tests of {external.why}: {find(name).problem}"
            f" ({external.remedy})"
        )
