"""Bounds on what one stream may keep in memory: pieces that wait for their turn, things open.

A stream that passes one of them has failed (`INVALID_ANSWER`); nothing is dropped in silence.
"""

from __future__ import annotations

import msgspec

from arno.canon.events import Event, PartDelta
from arno.canon.failure import Failure, FailureKind, Stage

MAX_HELD = 8 * 1024 * 1024
"""Characters or bytes that one stream may keep, all that waits in it together."""

MAX_OPEN = 4096
"""Parts, calls and choices that one stream may have open, each kind for itself."""

PIECE = 64
"""Bytes, about, that keeping one piece takes beside its characters."""

TOO_MUCH = Failure(
    FailureKind.INVALID_ANSWER,
    "upstream says more than can be kept while an earlier part of its answer stays open",
    retryable=True,
    stage=Stage.MID_STREAM,
)
"""How a client's stream ends in which more would have to wait than `MAX_HELD`."""


def weight(event: Event) -> int:
    """Bytes, about, that keeping `event` takes."""
    if isinstance(event, PartDelta) and isinstance(event.value, str):
        return PIECE + len(event.value)
    return PIECE + len(msgspec.json.encode(event))


class Budget:
    """A count that may not pass `limit`: of characters held, or of things open."""

    __slots__ = ("_left",)

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, amount: int) -> bool:
        """True if `amount` more fits; what does not fit is not counted."""
        if amount > self._left:
            return False
        self._left -= amount
        return True

    def release(self, amount: int) -> None:
        """`amount` of what was taken is kept no more."""
        self._left += amount
