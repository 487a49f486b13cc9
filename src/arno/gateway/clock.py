"""Time and names as arguments, so that tests say what time it is."""

from __future__ import annotations

import os
import string
import time
from collections.abc import Callable

import msgspec

_ALPHABET = (string.ascii_letters + string.digits).encode()
# 256 is no multiple of 62, so eight characters are a little likelier; 118 bits are left.
_CHARACTERS = bytes(_ALPHABET[n % len(_ALPHABET)] for n in range(256))
_TAIL = 20
_AT_ONCE = 64


class Clock(msgspec.Struct, frozen=True):
    """wall_ns: UTC since the epoch; monotonic_ns: for durations."""

    wall_ns: Callable[[], int] = time.time_ns
    monotonic_ns: Callable[[], int] = time.monotonic_ns


class _Randomness:
    """The system's random characters, taken in larger pieces: each system call gives other threads
    the interpreter. One event loop's; a piece of it is given out once."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left: list[str] = []
        # Not shared with a process that is forked off.
        os.register_at_fork(after_in_child=self._left.clear)

    def take(self) -> str:
        """`_TAIL` characters."""
        if not self._left:
            text = os.urandom(_TAIL * _AT_ONCE).translate(_CHARACTERS).decode()
            self._left += [text[n : n + _TAIL] for n in range(0, len(text), _TAIL)]
        return self._left.pop()


_RANDOMNESS = _Randomness()


def generation_id(wall_ns: int) -> str:
    """A new id `gen-<unix seconds>-<20 alphanumerics>`: not to be guessed, sorted by time."""
    return f"gen-{wall_ns // 1_000_000_000}-{_RANDOMNESS.take()}"
