"""Matrix: the page that says what each dialect carries is what translating gives today."""

import os
import subprocess
import sys
from pathlib import Path

from checks.outcome import Outcome

SCRIPT = "scripts/support_matrix.py"
PAGE = "docs/matrix.md"
SECONDS = 120


def check_matrix(root: Path) -> Outcome:
    """The script finds nothing lost in silence, and prints the page that is in the tree."""
    if not (root / SCRIPT).is_file():
        return Outcome((), "no matrix")
    done = subprocess.run(
        [sys.executable, SCRIPT],
        cwd=root,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").splitlines()
        return Outcome(tuple(lines or [f"{SCRIPT} failed"]))
    page = root / PAGE
    if not page.is_file() or page.read_bytes() != done.stdout:
        return Outcome((f"{PAGE} is not what it should be: python {SCRIPT} --write",))
    return Outcome((), f"{done.stdout.count(b'| ')} cells")
