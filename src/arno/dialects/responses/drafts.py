"""Items and parts of a stream while they are open: what their events are called, and what was said.

Serves `stream_encode`, which numbers the events and puts them in order.
"""

from __future__ import annotations

from typing import Any

import msgspec

from arno.canon.events import PartEnd, Slot
from arno.canon.ext import Json
from arno.canon.fold import merge_ext
from arno.canon.parts import (
    MediaPart,
    OpaquePart,
    Part,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.dialects.residue import Document
from arno.dialects.responses.content import OUTPUT, encode_entry
from arno.dialects.responses.kinds import CALLS, MESSAGE, REASONING, STREAMED_CALLS
from arno.dialects.responses.writing import OPAQUE, Draft, has_entry, is_text
from arno.wire import json

Said = tuple[str, Document]
"""The name of an event, without its beginning `response.`, and its members."""

TEXTS: dict[str, tuple[str, str]] = {
    "text": ("output_text", "content"),
    "refusal": ("refusal", "content"),
    ReasoningForm.FULL.value: ("reasoning_text", "content"),
    ReasoningForm.SUMMARY.value: ("reasoning_summary_text", "summary"),
}
"""What a part's words are to how events name them, and the list of the item they stand in."""

OPENS = {"content": "content_part", "summary": "reasoning_summary_part"}
"""List of an item to how the events are named that open and close an entry of it."""


class OpenPart:
    """One part. begun: its entry was opened; number: the entry's place in its list; prefix: a
    frame that brings a piece, up to the piece; None where pieces are not told."""

    __slots__ = (
        "annotations",
        "begun",
        "item",
        "logprobs",
        "media",
        "number",
        "part",
        "pieces",
        "position",
        "prefix",
        "replaced",
    )

    def __init__(self, item: OpenItem, part: Part, position: int) -> None:
        self.item = item
        self.part = part
        self.position = position
        self.number = 0
        self.begun = False
        self.prefix: bytes | None = None
        self.pieces: list[str] = []
        self.annotations: list[Json] = []
        self.logprobs: list[Json] = []
        self.media: list[Json] = []
        self.replaced: dict[str, str] = {}

    @property
    def path(self) -> str:
        """Where the part stands, for losses."""
        return f"/choices/0/parts/{self.item.number + self.position}"

    @property
    def _words(self) -> str | None:
        """The key of `TEXTS` for this part, None for a part without words."""
        if isinstance(self.part, TextPart):
            return "text"
        if isinstance(self.part, RefusalPart):
            return "refusal"
        if isinstance(self.part, ReasoningPart) and is_text(self.part):
            return self.part.form.value
        return None

    def taken(self, part: Part) -> tuple[str, Part]:
        """(what the start says already, the part without it)."""
        if isinstance(part, ToolCallPart):
            return part.arguments, msgspec.structs.replace(part, arguments="")
        if isinstance(part, TextPart):
            return part.text, msgspec.structs.replace(part, text="", annotations=())
        if isinstance(part, RefusalPart | ReasoningPart):
            return part.text, msgspec.structs.replace(part, text="")
        return "", part

    def wants_beginning(self, given: str) -> bool:
        """True if the entry opens with the part; reasoning waits for words, there may be none."""
        if isinstance(self.part, ReasoningPart):
            return bool(given)
        return True

    def must_begin(self, part: Part) -> bool:
        """True if the part ends without ever having opened an entry that the item will hold."""
        if self.begun or not isinstance(part, ReasoningPart):
            return False
        return has_entry(part, self.position)

    def place(self) -> Document:
        """The members that say which entry an event is about."""
        members = self.item.place()
        words = self._words
        list_ = "content" if words is None else TEXTS[words][1]
        return {**members, f"{list_}_index": self.number}

    def begin(self) -> Said | None:
        """The event that opens the entry, None where none does; pieces may follow."""
        self.begun = True
        call = STREAMED_CALLS.get(self.item.draft.kind)
        if call is not None:
            self.prefix = _prefix(f"{call}.delta", self.item.place())
            return None
        words = self._words
        if words is None:
            return self._begin_document()
        event, list_ = TEXTS[words]
        self.number = self.item.count(list_)
        extra: Document = {"logprobs": []} if words == "text" else {}
        self.prefix = _prefix(f"response.{event}.delta", {**self.place(), **extra})
        return f"{OPENS[list_]}.added", {**self.place(), "part": self._entry(self.part)}

    def _begin_document(self) -> Said | None:
        """An entry of a message's content that is not known stands there as it is."""
        if self.item.draft.kind != MESSAGE or not isinstance(self.part, OpaquePart):
            return None
        self.number = self.item.count("content")
        return "content_part.added", {**self.place(), "part": self.part.document}

    def _entry(self, part: Part) -> Json:
        """The entry as it stands in the item."""
        if isinstance(part, ReasoningPart):
            summary = part.form is ReasoningForm.SUMMARY
            return {"type": "summary_text" if summary else "reasoning_text", "text": part.text}
        entry = encode_entry(msgspec.structs.replace(part, cache=None), OUTPUT, self.path)[0]
        if isinstance(part, TextPart) and isinstance(entry, dict):
            entry = {"type": OUTPUT, "annotations": [], "logprobs": [], **entry}
            if self.logprobs:
                entry["logprobs"] = list(self.logprobs)
        return entry

    def keep(self, slot: Slot, value: Json) -> None:
        """What is told with the part's end."""
        if slot in (Slot.SIGNATURE, Slot.SEALED):
            self.replaced[slot.value] = value
        elif slot is Slot.LOGPROBS:
            found = value.get("content") if isinstance(value, dict) else value
            self.logprobs += found if isinstance(found, list) else []
        elif slot is Slot.MEDIA:
            self.media.append(value)

    def build(self, end: PartEnd | None = None) -> Part:
        """The part as it has become."""
        part = self.part
        changes: dict[str, Any] = dict(self.replaced)
        said = "".join(self.pieces)
        if isinstance(part, ToolCallPart):
            changes["arguments"] = said
        elif isinstance(part, TextPart):
            changes |= {"text": said, "annotations": tuple(self.annotations)}
        elif isinstance(part, RefusalPart | ReasoningPart):
            changes["text"] = said
        elif isinstance(part, MediaPart) and self.media:
            changes["data"] = (part.data or "") + "".join(self.media)
        elif isinstance(part, ToolResultPart) and self.media:
            changes["parts"] = (*part.parts, *self.media)
        if end is not None and end.item is not None:
            changes["item"] = end.item
        if end is not None and end.format is not None:
            changes["format"] = end.format
        if end is not None and end.format is not None:
            changes["format"] = end.format
        if end is not None and end.ext:
            changes["ext"] = merge_ext(part.ext, end.ext)
        self.part = msgspec.structs.replace(part, **changes)
        return self.part

    def done(self, part: Part) -> list[Said]:
        """The events that close the entry and say it as a whole."""
        kind = self.item.draft.kind
        call = STREAMED_CALLS.get(kind)
        if call is not None and isinstance(part, ToolCallPart):
            name = call.removeprefix("response.")
            return [(f"{name}.done", {**self.item.place(), CALLS[kind].arguments: part.arguments})]
        words = self._words
        if not self.begun:
            return []
        if words is None:
            if kind != MESSAGE or not isinstance(part, OpaquePart):
                return []
            return [("content_part.done", {**self.place(), "part": part.document})]
        event, list_ = TEXTS[words]
        whole: Document = {"refusal" if words == "refusal" else "text": getattr(part, "text", "")}
        if words == "text":
            whole["logprobs"] = list(self.logprobs)
        closing = {**self.place(), "part": self._entry(part)}
        return [
            (f"{event}.done", {**self.place(), **whole}),
            (f"{OPENS[list_]}.done", closing),
        ]


class OpenItem:
    """One item. index: its output index; number: the canonical index of its first part."""

    __slots__ = ("_counts", "draft", "first", "id", "index", "number", "opened")

    def __init__(self, draft: Draft, id_: str, index: int, number: int) -> None:
        self.draft = draft
        self.id = id_
        self.index = index
        self.number = number
        self._counts: dict[str, int] = {}
        self.opened: list[OpenPart] = []
        part = draft.parts.pop()
        self.first = self.add(part)

    def add(self, part: Part) -> OpenPart:
        """One more part of the item."""
        opened = OpenPart(self, part, len(self.draft.parts))
        self.draft.parts.append(part)
        self.draft.open += 1
        self.opened.append(opened)
        return opened

    def count(self, list_: str) -> int:
        """The place of the next entry in one of the item's lists."""
        number = self._counts.get(list_, 0)
        self._counts[list_] = number + 1
        return number

    def place(self) -> Document:
        """The members that say which item an event is about."""
        return {"item_id": self.id, "output_index": self.index}

    @property
    def may_take_more(self) -> bool:
        """True if another part can follow in this item."""
        call = CALLS.get(self.draft.kind)
        if call is not None:
            return self.draft.native and call.result is not None
        return self.draft.kind in (MESSAGE, REASONING)

    def announced(self) -> Document:
        """The item as it is told of when it begins."""
        kind, part = self.draft.kind, self.draft.parts[0]
        document: Document = {"id": self.id, "type": kind}
        if kind == OPAQUE and isinstance(part, OpaquePart):
            return {**part.document, "id": self.id}
        if kind != REASONING:
            document["status"] = "in_progress"
        if kind == MESSAGE:
            document |= {"role": "assistant", "content": []}
        elif kind == REASONING:
            document["summary"] = []
        elif kind in STREAMED_CALLS and isinstance(part, ToolCallPart):
            document[CALLS[kind].arguments] = ""
            document |= {"call_id": part.call_id, "name": part.name}
            if part.namespace is not None:
                document["namespace"] = part.namespace
        return document

    def settle(self, opened: OpenPart, part: Part) -> None:
        """A part has ended as `part`."""
        self.draft.parts[opened.position] = part
        self.draft.open -= 1
        if part.item is not None and self.draft.native:
            self.draft.place = part.item

    def cut(self) -> None:
        """The stream ends here: open parts stand as far as they came."""
        for opened in self.opened:
            self.draft.parts[opened.position] = opened.build()

    def with_extras(self, document: Document) -> Document:
        """The item with the probabilities that came with its texts."""
        content = document.get("content")
        if self.draft.kind != MESSAGE or not isinstance(content, list):
            return document
        told = [opened for opened in self.opened if opened.logprobs]
        for opened in told:
            if opened.number < len(content):
                entry = {**content[opened.number], "logprobs": list(opened.logprobs)}
                content[opened.number] = entry
        return document


def _prefix(kind: str, members: Document) -> bytes:
    """A frame of `kind` up to its piece, which the caller closes with a number."""
    document = json.dumps({"type": kind, **members})
    return b"event: %b\ndata: %b," % (kind.encode(), document[:-1]) + b'"delta":'
