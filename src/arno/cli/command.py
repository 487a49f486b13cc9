"""A command that runs in our place: it gets our signals, and we end with its exit code."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from arno.canon.failure import LocalError

FORWARDED: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
FROM_TERMINAL: Final = ("SIGINT", "SIGQUIT")
"""A terminal sends these to the whole group in its foreground, the command among it."""


class CommandError(LocalError):
    """The command could not be started."""


def run_command(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command to its end. Returns its exit code, 128 + signal if a signal ended it.

    Signals that come meanwhile go to the command, and nowhere else. Raises CommandError. Must be
    called in the main thread.
    """
    running = _Running()
    with running.signals():
        try:
            process = subprocess.Popen(words, env=dict(environ))
        except OSError as error:
            raise CommandError(f"cannot run {words[0]}: {error.strerror}") from error
        running.started(process)
        code = _wait(process)
    return code if code >= 0 else 128 - code


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a process. Meanwhile signals are handled, whichever thread they come to.

    A signal may be delivered to any thread of this process, and a main thread that waits for a
    child would not notice: it waits for a socket, which each signal writes to.
    """
    bell, rope = socket.socketpair()
    with bell, rope:
        rope.setblocking(False)
        waiter = threading.Thread(target=_ring, args=(process, rope), daemon=True)
        before = signal.set_wakeup_fd(rope.fileno(), warn_on_full_buffer=False)
        try:
            waiter.start()
            while waiter.is_alive():
                bell.recv(64)
                # The bell is the last thing the waiter does.
                waiter.join(0.0 if process.returncode is None else None)
        finally:
            signal.set_wakeup_fd(before)
    return process.wait()


def _ring(process: subprocess.Popen[bytes], rope: socket.socket) -> None:
    process.wait()
    # Full of signals: then the bell rings anyway.
    with suppress(BlockingIOError):
        rope.send(b"\0")


class _Running:
    """The command, and signals that came before it was there."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def started(self, process: subprocess.Popen[bytes]) -> None:
        """From now on signals have somewhere to go."""
        self._process = process
        for number in self._early:
            process.send_signal(number)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Take the signals while the block runs."""
        numbers = [getattr(signal, name) for name in FORWARDED if hasattr(signal, name)]
        before = {number: signal.signal(number, self._forward) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if signal.Signals(number).name in FROM_TERMINAL and _in_foreground():
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


def _in_foreground() -> bool:
    """Whether a terminal's keys reach this process and its command by themselves."""
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
