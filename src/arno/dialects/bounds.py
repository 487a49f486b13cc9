"""Bounds on what one stream may keep in memory: pieces that wait for their turn, things open.

A stream that passes one of them has failed (`INVALID_ANSWER`); nothing is dropped in silence.
"""

from __future__ import annotations

MAX_HELD = 8 * 1024 * 1024
"""Characters or bytes that one stream may keep, all that waits in it together."""

MAX_OPEN = 4096
"""Parts, calls and choices that one stream may have open, each kind for itself."""


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
