"""External programs: a missing one is skipped and named, or a failure where all are required."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.checks.trees import PYPROJECT, ROOT, plant
from tests.externals import EXTERNALS, External, find, look_for, needs

SUITE = """
import pytest
from tests.externals import find, needs

@needs("redis")
def test_with_redis():
    assert find("redis").program

@pytest.mark.parametrize("n", [1, 2])
@needs("redis")
def test_with_more(n):
    assert find("redis").program

def test_without():
    pass
"""


def suite(tmp_path) -> None:
    """A suite with our conftest."""
    shared = ("__init__.py", "conftest.py", "externals.py", "shared.py")
    copies = {f"tests/{name}": (ROOT / "tests" / name).read_text() for name in shared}
    # This environment may have a Go of its own.
    table = copies["tests/externals.py"].replace('program="go"', 'program="no-such-go"')
    copies["tests/externals.py"] = table
    plant(tmp_path, {"pyproject.toml": PYPROJECT, "tests/test_a.py": SUITE, **copies})


def run(tmp_path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run that suite where no external program can be found."""
    suite(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "ARNO"))}
    return subprocess.run(
        command,
        cwd=tmp_path,
        env={**plain, "PATH": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_missing_program_is_skipped_and_named_at_the_end(tmp_path, workers):
    done = run(tmp_path, "-n", workers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "not run: 3 tests of limits shared between processes: redis-server is not installed"
        " (Debian: apt-get install redis-server)"
    ) in done.stdout
    assert "1 passed, 3 skipped" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_missing_program_fails_where_all_are_required(tmp_path, workers):
    done = run(tmp_path, "-n", workers, ARNO_REQUIRE_EXTERNALS="1")
    assert done.returncode == 1
    assert "1 passed, 3 errors" in done.stdout.splitlines()[-1]
    assert "not run: 3 tests of limits shared between processes" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "printed"), [((), "redis-server\n"), (("--in-ci-lock",), "go\n")]
)
def test_what_tests_ask_for_is_listed_for_installation(tmp_path, arguments, printed):
    suite(tmp_path)
    plant(
        tmp_path,
        {"tests/sdk/test_b.py": "from tests.externals import needs\npytestmark = needs('go')\n"},
    )
    command = [sys.executable, "-m", "tests.externals", *arguments]
    environment = {**os.environ, "PATH": ""}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == printed


def test_an_unknown_name_is_an_error():
    with pytest.raises(LookupError, match="cobol"):
        needs("node", "cobol")


def test_every_external_says_why_and_where(subtests):
    for name, external in EXTERNALS.items():
        with subtests.test(name):
            assert external.why
            assert external.debian
            assert find(name).program or find(name).problem


@pytest.mark.parametrize(
    ("minimum", "companions", "problem"),
    [
        ((2, 0), (), ""),
        ((2, 10), (), "fake-program is version 2.9, 2.10 is needed"),
        ((2, 0), ("fake-companion",), "fake-companion is not installed"),
    ],
)
def test_versions_are_compared_as_numbers(tmp_path, monkeypatch, minimum, companions, problem):
    program = tmp_path / "fake-program"
    program.write_text("#!/bin/sh\necho fake v2.9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = look_for(
        External("fake-program", "tests", "fake", minimum=minimum, companions=companions)
    )
    assert found.problem == problem
    assert found.program == ("" if problem else str(program))


def test_the_programs_of_this_environment_are_found(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert shutil.which("pytest") is None
    assert look_for(External("pytest", "tests", "python3-pytest")).program
