"""Items and parts of a stream while they are open; `stream_decode` fills and ends them."""

from __future__ import annotations

from arno.canon.events import Slot
from arno.canon.parts import Item
from arno.dialects.residue import Document, text
from arno.dialects.responses.items import Key, kind_of


class Open:
    """A part that was started. said: characters of its text so far; cited: annotations so far."""

    __slots__ = ("cited", "ended", "index", "said", "slot")

    def __init__(self, index: int, slot: Slot) -> None:
        self.index = index
        self.slot = slot
        self.said = 0
        self.cited = 0
        self.ended = False


class OpenItem:
    """One item of the answer, by its output index.

    place: what its parts stand in, as far as it is known; reserved: part indexes that it was given
    when it was announced, so that parts stand in the order of their items, however late they come;
    early: arguments that came before the call's name; done: it was read as a whole.
    """

    __slots__ = ("document", "done", "early", "index", "parts", "place", "reserved")

    def __init__(self, index: int, document: Document, reserved: list[int]) -> None:
        self.index = index
        self.reserved = reserved
        self.document = document
        self.place = Item(id=text(document.get("id")), index=index, kind=kind_of(document))
        self.parts: dict[Key, Open] = {}
        self.early: list[str] = []
        self.done = False
