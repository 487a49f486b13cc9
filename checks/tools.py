"""The checks that are other people's programs: ruff and mypy. Their settings: pyproject.toml."""

import os
import subprocess
import sys
from pathlib import Path

from checks.outcome import Outcome
from checks.tree import CODE_FOLDERS

SHOWN = 60
"""Lines of a failing program's output that are printed."""


def _run(root: Path, *arguments: str) -> Outcome:
    environment = {**os.environ, "NO_COLOR": "1"}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode == 0:
        return Outcome(note=lines[-1] if lines else "")
    left = len(lines) - SHOWN
    more = [f"... and {left} more lines"] if left > 0 else []
    return Outcome(tuple(lines[:SHOWN] + more) or (f"exit code {done.returncode}",))


def _folders(root: Path) -> list[str]:
    return [folder for folder in CODE_FOLDERS if (root / folder).is_dir()]


def check_format(root: Path) -> Outcome:
    """Every file is formatted as `ruff format` would."""
    return _run(root, "ruff", "format", "--check", "--output-format=concise", *_folders(root))


def check_lint(root: Path) -> Outcome:
    """No finding of `ruff check`."""
    return _run(root, "ruff", "check", "--quiet", "--output-format=concise", *_folders(root))


def check_types(root: Path) -> Outcome:
    """No finding of `mypy`, strict over the package and the checks."""
    return _run(root, "mypy", *_folders(root))
