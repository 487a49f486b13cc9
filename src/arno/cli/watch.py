"""A server that ends with the program that started it."""

from __future__ import annotations

import os
import signal
import sys
import threading


def stop_with_stdin() -> None:
    """Send this process SIGTERM when its standard input ends.

    A parent that holds the other end and dies, however it dies, takes its child with it.
    """
    threading.Thread(target=_wait, name="arno-stdin", daemon=True).start()


def _wait() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
