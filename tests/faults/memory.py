"""How much memory a process takes at most while something happens (Linux)."""

from contextlib import contextmanager
from pathlib import Path

import pytest

MEGA = 1024 * 1024

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="no /proc/PID/clear_refs here"
)


class Growth:
    """bytes: how much higher the peak was than what the process had before."""

    bytes = 0


def _field(pid, name):
    text = Path(f"/proc/{pid}/status").read_text("ascii")
    [line] = [line for line in text.splitlines() if line.startswith(name + ":")]
    return int(line.split()[1]) * 1024


@contextmanager
def growth(pid):
    """The growth of a process within the block, known after it."""
    found = Growth()
    before = _field(pid, "VmRSS")
    Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")  # the peak begins anew
    yield found
    found.bytes = _field(pid, "VmHWM") - before
