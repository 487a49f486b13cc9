"""Cores, and what a process uses: CPU time of all its threads, resident memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

SERVER_CORE = 1
"""Where the process under test runs, alone among ours."""

OTHER_CORE = 0


def cores() -> frozenset[int]:
    """The cores that we may use; empty where a process cannot be bound to one."""
    return frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else frozenset()


def pinned() -> bool:
    """Whether the process under test gets a core of its own."""
    return {SERVER_CORE, OTHER_CORE} <= cores()


def bind(core: int) -> None:
    """Bind this process, and those that it starts, to one core where there are two."""
    if sys.platform == "linux" and pinned():
        os.sched_setaffinity(0, {core})


def unbind(allowed: frozenset[int]) -> None:
    """Give back what `cores` told before."""
    if sys.platform == "linux" and allowed:
        os.sched_setaffinity(0, allowed)


def cpu_ns(pid: int) -> int:
    """CPU time of a process so far: all its threads, user and kernel, in nanoseconds."""
    if sys.platform == "linux":
        # The process's CPU clock (clock_getcpuclockid): the scheduler's run time, not ticks.
        return time.clock_gettime_ns((~pid << 3) | 2)
    else:
        hours, minutes, seconds = ("0:0:" + _ps(pid, "time")).split(":")[-3:]
        return int((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1e9)


def family(pid: int) -> list[int]:
    """A process and all that it started, directly or not, that are still there."""
    if sys.platform == "linux":
        parents = [entry for entry in map(_parent, Path("/proc").iterdir()) if entry]
    else:
        lines = _all_ps().splitlines()
        parents = [(int(pid), int(parent)) for pid, parent in map(str.split, lines)]
    found = [pid]
    for one in found:
        found += [child for child, parent in parents if parent == one]
    return found


def _parent(folder: Path) -> tuple[int, int] | None:
    """A process and its parent, by its folder in /proc; None if it is none, or gone."""
    if not folder.name.isdigit():
        return None
    try:
        stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(folder.name), int(stat.rpartition(")")[2].split()[1])


def _all_ps() -> str:
    command = ["ps", "-axo", "pid=,ppid="]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB (2**20 bytes)."""
    if sys.platform == "linux":
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    else:
        return int(_ps(pid, "rss")) / 2**10


def writes(pid: int) -> int | None:
    """Writes that a process has asked the kernel for so far; None where that is not told."""
    try:
        told = Path(f"/proc/{pid}/io").read_text(encoding="ascii")
    except OSError:
        return None
    fields = dict(line.split(": ") for line in told.splitlines())
    return int(fields["syscw"])


def descriptors(pid: int) -> int:
    """Open file descriptors of a process."""
    if sys.platform == "linux":
        return len(os.listdir(f"/proc/{pid}/fd"))
    else:
        command = ["lsof", "-p", str(pid)]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        return len(told.stdout.splitlines()) - 1


def _ps(pid: int, field: str) -> str:
    """What the system's `ps` says of a process."""
    command = ["ps", "-o", f"{field}=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def load() -> str:
    """How busy the machine was in the last minute, and what else ran."""
    one, five, _ = os.getloadavg()
    return f"load {one:.2f} (1 min), {five:.2f} (5 min)"


def describe() -> str:
    """This machine in one line."""
    count = os.cpu_count() or 1
    where = f"server on core {SERVER_CORE}, the rest on core {OTHER_CORE}"
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{count} cores ({where if pinned() else 'nothing bound to a core'})"
    )
