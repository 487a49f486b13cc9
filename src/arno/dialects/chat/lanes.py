"""Lanes: the frames of one open part, of which nearly everything is the same each time.

More of a text, of reasoning or of arguments differs from the piece before in one string. So a frame
is made once with a mark in the place of that string, cut there, and each piece is put between.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import msgspec

from arno.canon.events import Slot

_encode = msgspec.json.Encoder().encode


class Told:
    """How much of a choice's text was told: characters of it."""

    __slots__ = ("chars",)

    def __init__(self) -> None:
        self.chars = 0


class Lane:
    """Pieces of one slot. told: counts the characters that pass, None if nobody asks; choice: the
    number of the one that the part belongs to.
    """

    __slots__ = ("_after", "_before", "_between", "_told", "choice", "slot")

    def __init__(
        self,
        slot: Slot,
        make: Callable[[str], bytes],
        *,
        twice: bool,
        told: Told | None,
        choice: int = 0,
    ) -> None:
        pieces = _cut(make, 3 if twice else 2)
        self.slot = slot
        self.choice = choice
        self._before = pieces[0]
        self._between = pieces[1] if twice else None
        self._after = pieces[-1]
        self._told = told

    def frame(self, value: str) -> bytes:
        """The frame that says `value`."""
        text = _encode(value)
        if self._told is not None:
            self._told.chars += len(value)
        if self._between is None:
            return self._before + text + self._after
        return b"".join((self._before, text, self._between, text, self._after))


def _cut(make: Callable[[str], bytes], pieces: int) -> list[bytes]:
    """The frame around its marks; a mark that the frame holds elsewhere is not taken."""
    for number in count():
        mark = f"@{number}@"
        found = make(mark).split(_encode(mark))
        if len(found) == pieces:
            return found
    raise AssertionError("unreachable: marks do not end")
