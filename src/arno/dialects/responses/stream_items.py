"""Items and parts of a stream while they are open, and how documents find theirs.

An item is known by its output index: hosts exist whose item ids change on the way. Where documents
say no index, by its id or its call's id, else it is the one that was last heard of. The last
document holds all items once more, in an order and with places of its own: there, an item is known
by its id or its call's id, and those that nobody knows are the unclaimed ones of their kind, one
after the other. An item is never found twice, so nothing is said twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO

from arno.canon.events import Slot
from arno.canon.ext import Json
from arno.canon.parts import Executor, Item, Part
from arno.dialects.bounds import MAX_OPEN
from arno.dialects.failures import invalid
from arno.dialects.residue import Document, integer, text
from arno.dialects.responses.items import CALL, Key, kind_of
from arno.dialects.responses.kinds import CALLS, MESSAGE, REASONING
from arno.dialects.responses.residue import keep
from arno.dialects.streams import Ended

MEMBERS: dict[str, Document] = {MESSAGE: {"role": "assistant"}, REASONING: {"summary": []}}
"""Members beside its kind that an item must have, also where nobody says it as a whole."""


def place_of(kind: str, index: int, id_: str | None = None) -> Item:
    """What the parts of an item stand in until it is done."""
    ext = keep({"type": kind, **MEMBERS.get(kind, {})})
    return Item(id=id_, index=index, kind=kind, ext=ext)


class Open:
    """A part that was started, of the type `kind`. said: its text so far; unsaid: arguments that
    its announcement held as a whole, which some hosts say in pieces again; cited: annotations so
    far."""

    __slots__ = ("cited", "ended", "index", "kind", "said", "slot", "unsaid")

    def __init__(self, index: int, kind: type[Part], slot: Slot) -> None:
        self.index = index
        self.kind = kind
        self.slot = slot
        self.said = StringIO()
        self.unsaid = ""
        self.cited = 0
        self.ended = False


class OpenItem:
    """One item of the answer.

    document: its announcement, {} before that; place: what its parts stand in, as far as it is
    known; reserved: part indexes that it was given when it was first heard of, so that parts stand
    in the order of their items, however late they come; early: pieces that no part could take yet,
    such as arguments that came before the call's name; done: it was read as a whole.
    """

    __slots__ = ("call_id", "document", "done", "early", "ids", "parts", "place", "reserved")

    def __init__(self, index: int, kind: str, reserved: list[int]) -> None:
        self.reserved = reserved
        self.document: Document = {}
        self.place = place_of(kind, index)
        self.parts: dict[Key, Open] = {}
        self.early: list[str] = []
        self.ids: set[str] = set()
        self.call_id = ""
        self.done = False

    @property
    def index(self) -> int:
        """Its output index."""
        return self.place.index or 0

    def may_be(self, item: Mapping[str, Json]) -> bool:
        """False for a document of another item: another kind, or another call."""
        call_id = text(item.get("call_id"))
        if call_id and self.call_id and call_id != self.call_id:
            return False
        return kind_of(item) == self.place.kind

    def is_named_in(self, item: Mapping[str, Json]) -> bool:
        """True if a document says the item's id or its call's."""
        call_id = text(item.get("call_id"))
        return text(item.get("id")) in self.ids or bool(call_id and call_id == self.call_id)

    @property
    def is_lost(self) -> bool:
        """True if pieces came of what never got a name, or the client is to run such a call."""
        if self.done or CALL in self.parts:
            return False
        call = CALLS.get(self.place.kind or "")
        return bool(self.early) or (call is not None and call.executor is Executor.CLIENT)


class Items:
    """All items of one stream. all: by output index."""

    def __init__(self) -> None:
        self.all: dict[int, OpenItem] = {}
        self._ids: dict[str, OpenItem] = {}
        self._calls: dict[str, OpenItem] = {}
        self._latest: dict[str, OpenItem] = {}
        self._next_index = 0
        self._next_part = 0

    def announced(self, document: Document, item: Document) -> OpenItem:
        """The item that a document begins. Raises Ended."""
        known = self._at(document)
        if known is None and integer(document.get("output_index")) is None:
            known = self._named(item)
        return self._learn(known or self._new(document, kind_of(item)), item)

    def whole(self, document: Document, item: Document) -> OpenItem:
        """The item that a document says as a whole. Raises Ended."""
        known = self._at(document)
        if known is None and integer(document.get("output_index")) is None:
            known = self._named(item) or self._last(kind_of(item))
            if known is not None and not known.may_be(item):
                known = None
        return self._learn(known or self._new(document, kind_of(item)), item)

    def told(self, document: Document, kind: str) -> OpenItem:
        """The item that a document says something of; kind: the item's, by what is said of it.
        Raises Ended."""
        id_ = text(document.get("item_id"))
        known = self._at(document)
        if known is None and integer(document.get("output_index")) is None:
            known = self._ids.get(id_) if id_ else self._last(kind)
        if known is None:
            known = self._new(document, kind)
        if id_ and not known.ids:
            self._learn(known, {"id": id_})
        return known

    def matched(self, output: Sequence[Json]) -> Iterator[tuple[Document, OpenItem]]:
        """Each item of the last document, with the one of the stream that it is. Raises Ended."""
        documents = [item for item in output if isinstance(item, dict)]
        claimed: dict[int, OpenItem] = {}
        found: list[OpenItem | None] = []
        for item in documents:
            known = self._named(item)
            if known is None or known.index in claimed or not known.may_be(item):
                found.append(None)
                continue
            claimed[known.index] = known
            found.append(known)
        left: dict[str | None, deque[OpenItem]] = {}
        for index in sorted(self.all.keys() - claimed.keys()):
            left.setdefault(self.all[index].place.kind, deque()).append(self.all[index])
        for place, (item, known) in enumerate(zip(documents, found, strict=True)):
            same = left.get(kind_of(item))
            known = known or (same.popleft() if same else None)
            if known is None:
                free = {} if place in self.all else {"output_index": place}
                known = self._learn(self._new(free, kind_of(item)), item)
            yield item, known

    def next_part(self, known: OpenItem) -> int:
        """The index of the item's next part. Raises Ended."""
        return known.reserved.pop(0) if known.reserved else self._reserve(1)[0]

    def _at(self, document: Document) -> OpenItem | None:
        index = integer(document.get("output_index"))
        return None if index is None else self.all.get(index)

    def _named(self, item: Document) -> OpenItem | None:
        known = self._calls.get(text(item.get("call_id")) or "")
        return known or self._ids.get(text(item.get("id")) or "")

    def _last(self, kind: str) -> OpenItem | None:
        known = self._latest.get(kind)
        return None if known is None or known.done else known

    def _learn(self, known: OpenItem, item: Document) -> OpenItem:
        """What the item is called; the first item that says an id is the one that has it."""
        id_, call_id = text(item.get("id")), text(item.get("call_id"))
        if id_:
            known.ids.add(id_)
            self._ids.setdefault(id_, known)
        if call_id and not known.call_id:
            known.call_id = call_id
            self._calls.setdefault(call_id, known)
        return known

    def _new(self, document: Document, kind: str) -> OpenItem:
        index = integer(document.get("output_index"))
        if index is None:
            index = self._next_index
        self._next_index = max(self._next_index, index + 1)
        call = CALLS.get(kind)
        reserved = self._reserve(2 if call is not None and call.result is not None else 1)
        known = OpenItem(index, kind, reserved)
        self.all[index] = self._latest[kind] = known
        return known

    def _reserve(self, many: int) -> list[int]:
        first = self._next_part
        self._next_part += many
        if self._next_part > MAX_OPEN:
            raise Ended(invalid(f"the answer has more than {MAX_OPEN} parts"))
        return list(range(first, self._next_part))
