"""Where this process spends its CPU time: a sampler that ticks each few milliseconds of it.

It runs inside the process under test. With a C compiler each tick is told from its instruction
pointer (kernel, loop, interpreter, which library) and from the Python frame that called; without
one from the frame alone. A frame is seen at the first instruction of Python after the tick, which
is the one that called the C function where the tick came.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

import msgspec

INTERVAL_US = 1000
"""CPU time between two ticks; most kernels tick no faster than every 1,000 to 4,000."""

_DEPTH = 60

_LOOP_CALLS = frozenset({"epoll_pwait", "epoll_wait", "read", "recv", "recvmsg", "accept4"})
"""What the event loop does in the kernel without the interpreter's lock."""


class Tick(msgspec.Struct, frozen=True):
    """What many ticks have in common.

    thread: main, or the thread's name; kind: kernel, python, or a library; call: the system call,
    where it is known; frames: `file:function`, innermost first; empty where the event loop was not
    in Python code, and for other threads.
    """

    thread: str
    kind: str
    call: str
    frames: tuple[str, ...]


class Count(msgspec.Struct, frozen=True):
    """How often a tick came."""

    tick: Tick
    times: int


class _Sample(ctypes.Structure):
    _fields_ = (
        ("pc", ctypes.c_uint64),
        ("thread", ctypes.c_int32),
        ("locked", ctypes.c_int32),
        ("kernel", ctypes.c_int32),
        ("unused", ctypes.c_int32),
    )


_Buffer = _Sample * 256

_LIBRARIES = (
    ("uvloop", "uvloop"),
    ("httptools", "httptools"),
    ("msgspec", "msgspec"),
    ("sqlalchemy", "sqlalchemy"),
    ("sqlite", "sqlite"),
    ("_ssl", "tls"),
    ("libssl", "tls"),
    ("libcrypto", "tls"),
    ("_hashlib", "hashes"),
    ("python", "python"),
    ("libc.", "libc"),
    ("libc-", "libc"),
    ("linux-vdso", "clock"),
)
"""A part of a shared object's name, and what we call it."""


def library(path: str) -> str:
    """What we call a shared object."""
    name = path.rpartition("/")[2]
    for part, title in _LIBRARIES:
        if part in name or (part in path and part in {"uvloop", "httptools", "msgspec"}):
            return title
    return name.partition(".")[0] or "?"


def frames_of(frame: FrameType | None) -> tuple[str, ...]:
    """`file:function` of a frame and its callers; files are named from their package on."""
    names: list[str] = []
    while frame is not None and len(names) < _DEPTH:
        code = frame.f_code
        names.append(f"{short(code.co_filename)}:{code.co_qualname}")
        frame = frame.f_back
    return tuple(names)


def short(path: str) -> str:
    """A source file's path from its package on."""
    for mark in ("/src/", "/site-packages/", f"/python3.{sys.version_info.minor}/"):
        head, found, tail = path.rpartition(mark)
        if found and head:
            return tail
    return path.rpartition("/benchmarks/")[2] if "/benchmarks/" in path else path


class Sampler:
    """Counts ticks between `start` and `stop`. native: the compiled half, None without one."""

    def __init__(self, native: Path | None) -> None:
        self._counts: Counter[Tick] = Counter()
        self._native = None if native is None else ctypes.CDLL(str(native))
        self._buffer = _Buffer()
        self._main = threading.get_native_id()
        self._names: dict[int | None, str] = {}
        self._places: dict[int, tuple[str, str]] = {}

    def start(self) -> None:
        """Begin to tick. Must be called on the main thread."""
        self._counts.clear()
        signal.signal(signal.SIGPROF, self._tick)
        seconds = INTERVAL_US / 1e6
        if self._native is None:
            signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
        else:
            self._native.sampler_start(INTERVAL_US)

    def stop(self) -> list[Count]:
        """No ticks any more. What came, most frequent first."""
        if self._native is None:
            signal.setitimer(signal.ITIMER_PROF, 0)
        else:
            self._native.sampler_stop()
        # A tick may be on its way still; the interpreter complains of one that nobody takes.
        signal.signal(signal.SIGPROF, lambda number, frame: None)
        return [Count(tick, times) for tick, times in self._counts.most_common()]

    def _tick(self, number: int, frame: FrameType | None) -> None:
        if self._native is None:
            self._counts[Tick("main", "?", "", frames_of(frame))] += 1
            return
        count = self._native.sampler_take(self._buffer, len(self._buffer))
        seen = frames_of(frame) if count else ()
        for sample in self._buffer[:count]:
            self._counts[self._read(sample, seen)] += 1

    def _read(self, sample: _Sample, frames: tuple[str, ...]) -> Tick:
        place, function = self._place(sample.pc)
        kind = "kernel" if sample.kernel else place
        call = function.lstrip("_") if sample.kernel else ""
        if sample.thread != self._main:
            return Tick(self._name(sample.thread), kind, call, ())
        in_loop = not sample.locked and (kind == "uvloop" or call in _LOOP_CALLS)
        return Tick("main", kind, call, () if in_loop else frames)

    def _place(self, pc: int) -> tuple[str, str]:
        known = self._places.get(pc)
        if known is None and self._native is not None:
            file, function = ctypes.c_char_p(), ctypes.c_char_p()
            self._native.sampler_where(
                ctypes.c_uint64(pc), ctypes.byref(file), ctypes.byref(function)
            )
            name = os.fsdecode(file.value or b"")
            known = self._places[pc] = (library(name), (function.value or b"").decode())
        return known or ("?", "")

    def _name(self, thread: int) -> str:
        if thread not in self._names:
            self._names |= {each.native_id: each.name for each in threading.enumerate()}
        return self._names.get(thread, "another thread")


def watch(target: Path, native: Path | None) -> None:
    """Let SIGUSR1 begin a profile, and the next one end it and write it to `target` as JSON."""
    sampler = Sampler(native)
    running = False

    def toggle(number: int, frame: FrameType | None) -> None:
        nonlocal running
        running = not running
        if running:
            sampler.start()
            return
        fresh = target.with_suffix(".part")
        fresh.write_bytes(msgspec.json.encode(sampler.stop()))
        fresh.replace(target)

    signal.signal(signal.SIGUSR1, toggle)
