"""Time and names as arguments, so that tests say what time it is."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable

import msgspec

_ALPHABET = string.ascii_letters + string.digits
_TAIL = 20


class Clock(msgspec.Struct, frozen=True):
    """wall_ns: UTC since the epoch; monotonic_ns: for durations."""

    wall_ns: Callable[[], int] = time.time_ns
    monotonic_ns: Callable[[], int] = time.monotonic_ns


def generation_id(wall_ns: int) -> str:
    """A new id `gen-<unix seconds>-<20 alphanumerics>`: not to be guessed, sorted by time."""
    # One draw of 16 bytes: 20 characters of 62 hold 119 bits.
    number = int.from_bytes(secrets.token_bytes(16), "big")
    tail = []
    for _ in range(_TAIL):
        number, digit = divmod(number, len(_ALPHABET))
        tail.append(_ALPHABET[digit])
    return f"gen-{wall_ns // 1_000_000_000}-{''.join(tail)}"
