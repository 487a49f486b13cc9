"""Runs `arno` as a user does: a process, its output, its exit code."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager

from tests.shared import ROOT

PATIENCE_SECONDS = 60


SETTINGS = re.compile(r"(ARNO|OPENAI)_|[A-Z_]+_(API_KEY|TOKEN|BASE_URL)$|\w+_proxy$", re.IGNORECASE)
"""Names of variables that switch providers on, or lead to them."""


def environment(**changes):
    """The process's environment without settings of the user's own."""
    kept = {name: value for name, value in os.environ.items() if not SETTINGS.match(name)}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), **changes}


def _word(argument):
    return argument if isinstance(argument, bytes) else str(argument)


def arno(*arguments, cwd=None, **variables):
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "arno", *map(_word, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(**variables),
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@contextmanager
def running(*arguments, stderr=subprocess.DEVNULL, **variables):
    """A command that goes on (a server): its process, stdout still to be read."""
    process = subprocess.Popen(
        [sys.executable, "-m", "arno", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=environment(**variables),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if not process.stdout.closed:
            process.stdout.close()
        if process.stderr is not None:
            process.stderr.close()


@contextmanager
def server(*arguments, **variables):
    """A server command: (process, the URL of its first line)."""
    with running(*arguments, **variables) as process:
        yield process, process.stdout.readline().strip()
