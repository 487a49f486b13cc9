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


class Clock(msgspec.Struct, frozen=True):
    """wall_ns: UTC since the epoch; monotonic_ns: for durations."""

    wall_ns: Callable[[], int] = time.time_ns
    monotonic_ns: Callable[[], int] = time.monotonic_ns


def generation_id(wall_ns: int) -> str:
    """A new id `gen-<unix seconds>-<20 alphanumerics>`: not to be guessed, sorted by time."""
    tail = os.urandom(_TAIL).translate(_CHARACTERS).decode()
    return f"gen-{wall_ns // 1_000_000_000}-{tail}"
