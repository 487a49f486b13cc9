"""Streams of this dialect: frames to events.

Terminal evidence: `response.completed` or `response.incomplete`. `response.failed`, an `error`
document and an error member end the stream as a failure. Everything else (an end mark alone, the
end of the body) is a cut, and a cut is never a success (R5); for hosts that never say more than the
end mark (`finish_optional`) it is an end.

An item is known by its output index: hosts exist whose item ids change on the way. When an item is
done, it is read as in a whole answer, and what its pieces have not said yet is said then, so a
stream folds to the value of the whole answer. One thing is not: the artefact in the last document
may be sealed anew and differ from the item's own; both are good, and the one that comes with the
item is told, since a part that waited for the last document would hold back all that follows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from arno.canon.events import (
    ChoiceEnd,
    Event,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
    StreamError,
    UsageUpdate,
)
from arno.canon.ext import Json
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import Executor, Item, Part, TextPart, ToolCallPart
from arno.canon.response import FinishReason
from arno.canon.unfold import STREAMED
from arno.dialects.base import Batch
from arno.dialects.failures import OPERATORS, decode_error
from arno.dialects.residue import Document, integer, text
from arno.dialects.responses import quick
from arno.dialects.responses.answer import failure_in, head_of, invalid, with_arguments
from arno.dialects.responses.items import (
    CALL,
    BrokenCall,
    Key,
    Read,
    kind_of,
    read_item,
)
from arno.dialects.responses.kinds import CALLS, MESSAGE, REASONING, STREAMED_CALLS
from arno.dialects.responses.reasons import decode_ending
from arno.dialects.responses.residue import DIALECT, keep
from arno.dialects.responses.stream_items import Open, OpenItem
from arno.dialects.responses.usage import decode_usage
from arno.dialects.streams import Ended, is_comment, without_document
from arno.wire import json
from arno.wire.errors import MalformedJSON
from arno.wire.frame import Frame

DONE = b"[DONE]"

STARTS = frozenset({"response.created", "response.in_progress", "response.queued"})
ENDS = frozenset({"response.completed", "response.incomplete", "response.done"})
FAILS = frozenset({"response.failed", "response.cancelled"})
ERRORS = frozenset({"error", "response.error"})

PARTS: dict[str, tuple[str, str, str]] = {
    "response.content_part.added": ("content", "content_index", "part"),
    "response.reasoning_summary_part.added": ("summary", "summary_index", "part"),
}
"""Documents that open a part: the key's member, where its number stands, what is opened."""

ENTRIES: dict[str, Json] = {
    "response.output_text.delta": {"type": "output_text", "text": ""},
    "response.refusal.delta": {"type": "refusal", "refusal": ""},
    "response.reasoning_text.delta": {"type": "reasoning_text", "text": ""},
    "response.reasoning_summary_text.delta": {"type": "summary_text", "text": ""},
}
"""What a piece opens where no document before it has."""


class ResponsesStreamDecoder:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, *, finish_optional: bool = False) -> None:
        self._finish_optional = finish_optional
        self._items: dict[int, OpenItem] = {}
        self._next_part = 0
        self._calls = False
        self._started = False
        self._ended = False
        self._output = False

    @property
    def _stage(self) -> Stage:
        return Stage.MID_STREAM if self._output else Stage.BEFORE_OUTPUT

    def feed(self, frame: Frame) -> Batch:
        """What one frame means; frames after the terminal event mean nothing."""
        if self._ended:
            return Batch(frame, None, ())
        data = frame.data
        if data is None or is_comment(data):
            return without_document(frame)
        if data.strip() == DONE:
            return Batch(frame, None, tuple(self._finish(done=True)))
        piece = quick.read(data) if self._started else None
        if piece is not None and (delta := self._quick(piece)) is not None:
            return Batch(frame, None, (delta,), plain=True)
        try:
            document = json.loads(data)
        except MalformedJSON:
            return self._fail(frame, None, "an event is no JSON")
        if not isinstance(document, dict):
            return self._fail(frame, document, "an event is no JSON object")
        return self._document(frame, document)

    def _quick(self, piece: quick.Piece) -> PartDelta | None:
        """The piece as more of an open part, None if it is not that simple."""
        item = self._items.get(piece.output_index)
        place = piece.place()
        if item is None or place is None or not piece.delta:
            return None
        part = item.parts.get(place[0])
        if part is None or part.ended:
            return None
        part.said += len(piece.delta)
        return PartDelta(part.index, place[1], piece.delta)

    def close(self) -> Batch:
        """What the end of the body means."""
        return Batch(None, None, () if self._ended else tuple(self._finish(done=False)))

    def abort(self, failure: Failure) -> Batch:
        """The stream broke below the dialect."""
        if self._ended:
            return Batch(None, None, ())
        self._ended = True
        return Batch(None, None, (StreamError(failure),))

    def _fail(self, frame: Frame | None, document: Json, message: str) -> Batch:
        self._ended = True
        return Batch(frame, document, (StreamError(invalid(message, self._stage)),))

    def _document(self, frame: Frame, document: Document) -> Batch:
        kind = text(document.get("type")) or frame.event
        events: list[Event] = []
        try:
            for event in self._events(kind, document):
                events.append(event)
        except BrokenCall as error:
            failure = invalid(f"the stream holds a tool call that cannot be read: {error}")
            return self._failed(frame, document, events, failure)
        except Ended as error:
            return self._failed(frame, document, events, error.failure)
        return Batch(frame, document, tuple(events))

    def _failed(
        self, frame: Frame, document: Document, events: list[Event], failure: Failure
    ) -> Batch:
        self._ended = True
        stage = self._stage
        events.append(StreamError(msgspec.structs.replace(failure, stage=stage)))
        readable = text(document.get("type")) in (*FAILS, *ERRORS) and failure.kind not in OPERATORS
        return Batch(frame, document, tuple(events), readable_error=readable)

    def _events(self, kind: str, document: Document) -> Iterator[Event]:
        if kind in ERRORS or document.get("error"):
            raise Ended(self._error(document))
        if kind in STARTS:
            yield from self._start(_response(document))
        elif kind in ENDS or kind in FAILS:
            yield from self._end(_response(document))
        elif kind == "response.output_item.added":
            yield from self._added(document)
        elif kind == "response.output_item.done":
            yield from self._done(document)
        elif kind in PARTS:
            yield from self._part_added(kind, document)
        elif kind in quick.PIECES:
            yield from self._piece(kind, document)
        elif kind == "response.output_text.annotation.added":
            yield from self._annotation(document)
        elif not kind.endswith(".done"):
            yield Opaque(DIALECT, document)

    def _error(self, document: Document) -> Failure:
        """The failure of an `error` document, whose members may stand at its top."""
        error = document.get("error")
        if not error:
            known = ("code", "message", "param", "status")
            error = {key: document[key] for key in known if key in document}
        return decode_error(error, self._stage)

    def _start(self, response: Document) -> Iterator[Event]:
        failure = failure_in(response, self._stage)
        if failure is not None:
            raise Ended(failure)
        if self._started:
            return
        self._started = True
        known, _ = head_of(response)
        yield ResponseStart(**known)

    def _item(self, document: Document, item: Document | None = None) -> OpenItem:
        """The item that a document is about; one that nobody has announced begins here."""
        index = integer(document.get("output_index"))
        if index is None:
            index = max(self._items, default=0)
        known = self._items.get(index)
        if known is None:
            call = CALLS.get(kind_of(item or {}))
            many = 2 if call is not None and call.result is not None else 1
            reserved = list(range(self._next_part, self._next_part + many))
            self._next_part += many
            known = self._items[index] = OpenItem(index, item or {}, reserved)
        return known

    def _next_index(self, known: OpenItem) -> int:
        if known.reserved:
            return known.reserved.pop(0)
        self._next_part += 1
        return self._next_part - 1

    def _begin(self) -> Iterator[Event]:
        """A stream whose first document is no start."""
        if not self._started:
            self._started = True
            yield ResponseStart()

    def _added(self, document: Document) -> Iterator[Event]:
        item = document.get("item")
        if not isinstance(item, dict):
            return
        yield from self._begin()
        known = self._item(document, item)
        known.document = item
        known.place = Item(id=text(item.get("id")), index=known.index, kind=kind_of(item))
        if kind_of(item) in STREAMED_CALLS and text(item.get("name")) and text(item.get("call_id")):
            yield from self._open_call(known, item)

    def _open_call(self, known: OpenItem, item: Document) -> Iterator[Event]:
        """A call whose id and name are known; arguments that came before them follow."""
        ((_, part),) = read_item({**item, "arguments": "", "input": ""}, known.index).parts
        yield self._part_start(known, CALL, part, Slot.ARGUMENTS)
        opened = known.parts[CALL]
        given = item.get("arguments") or item.get("input")
        for piece in known.early or [given if isinstance(given, str) else ""]:
            if piece:
                opened.said += len(piece)
                yield PartDelta(opened.index, Slot.ARGUMENTS, piece)
        known.early = []

    def _part_start(self, known: OpenItem, key: Key, part: Part, slot: Slot) -> PartStart:
        """Open a part, emptied of what comes as deltas."""
        if isinstance(part, ToolCallPart) and part.executor is Executor.CLIENT:
            self._calls = True
        self._output = True
        opened = Open(self._next_index(known), slot)
        known.parts[key] = opened
        place = Item(id=known.place.id, index=known.index, kind=known.place.kind)
        part = msgspec.structs.replace(part, item=place, ext=keep({}))
        return PartStart(opened.index, part, item=place)

    def _part_added(self, kind: str, document: Document) -> Iterator[Event]:
        member, number, content = PARTS[kind]
        key = member, integer(document.get(number)) or 0
        yield from self._begin()
        known = self._item(document)
        entry = document.get(content)
        if key in known.parts or known.done or not isinstance(entry, dict):
            return
        yield from self._open_entry(known, key, entry)

    def _open_entry(self, known: OpenItem, key: Key, entry: Document) -> Iterator[Event]:
        """Open the part that an entry of content is, with what it says already."""
        host = known.document
        if not known.document:
            reasons = key[0] == "summary" or entry.get("type") == "reasoning_text"
            host = {"type": REASONING if reasons else MESSAGE}
            known.place = Item(index=known.index, kind=host["type"])
        lone = {"type": kind_of(host), key[0]: [entry]}
        read = read_item(lone, known.index).parts
        if len(read) != 1 or type(read[0][1]) not in STREAMED:
            return  # told as a whole when its item is done
        part = read[0][1]
        given = _text_of(part)
        part = msgspec.structs.replace(part, text="", **_no_annotations(part))
        yield self._part_start(known, key, part, Slot.TEXT)
        if given:
            opened = known.parts[key]
            opened.said += len(given)
            yield PartDelta(opened.index, Slot.TEXT, given)

    def _piece(self, kind: str, document: Document) -> Iterator[Event]:
        """A piece that the quick way did not take."""
        delta = document.get("delta")
        if not isinstance(delta, str):
            raise Ended(invalid(f"a {kind} without text", self._stage))
        place = quick.Piece(
            kind,
            delta,
            0,
            integer(document.get("content_index")) or 0,
            integer(document.get("summary_index")) or 0,
        ).place()
        assert place is not None
        key, slot = place
        yield from self._begin()
        known = self._item(document)
        if key not in known.parts and not known.done:
            if key == CALL:
                known.early.append(delta)
                return
            yield from self._open_entry(known, key, ENTRIES[kind])
        opened = known.parts.get(key)
        if opened is None or opened.ended:
            return
        if delta:
            opened.said += len(delta)
            yield PartDelta(opened.index, slot, delta)
        if document.get("logprobs"):
            yield PartDelta(opened.index, Slot.LOGPROBS, {"content": document["logprobs"]})

    def _annotation(self, document: Document) -> Iterator[Event]:
        known = self._item(document)
        opened = known.parts.get(("content", integer(document.get("content_index")) or 0))
        if opened is None or opened.ended:
            return
        entry = {"type": "output_text", "text": "", "annotations": [document.get("annotation")]}
        ((_, part),) = read_item({"content": [entry]}, known.index).parts
        if isinstance(part, TextPart):
            opened.cited += 1
            yield PartDelta(opened.index, Slot.ANNOTATION, part.annotations[0])

    def _done(self, document: Document) -> Iterator[Event]:
        item = document.get("item")
        if isinstance(item, dict):
            yield from self._begin()
            yield from self._settle(self._item(document, item), item)

    def _settle(self, known: OpenItem, item: Document) -> Iterator[Event]:
        """An item as a whole: say what its pieces have not, and end its parts."""
        if known.done:
            return
        known.done = True
        read: Read = read_item(item, known.index)
        if read.parts:
            first = read.parts[0][1].item
            known.place = first if first is not None else known.place
        for key, part in read.parts:
            yield from self._settle_part(known, key, with_arguments(part))
        for opened in known.parts.values():
            if not opened.ended:
                opened.ended = True
                yield PartEnd(opened.index)

    def _settle_part(self, known: OpenItem, key: Key, part: Part) -> Iterator[Event]:
        opened = known.parts.get(key)
        if opened is None:
            yield from self._whole_part(known, key, part)
            return
        value = part.arguments if isinstance(part, ToolCallPart) else _text_of(part)
        rest = value[opened.said :]
        if rest:
            yield PartDelta(opened.index, opened.slot, rest)
        annotations = part.annotations if isinstance(part, TextPart) else ()
        for annotation in annotations[opened.cited :]:
            yield PartDelta(opened.index, Slot.ANNOTATION, annotation)
        if part.signature is not None:
            yield PartDelta(opened.index, Slot.SIGNATURE, part.signature)
        opened.ended = True
        yield PartEnd(opened.index, item=part.item, ext=part.ext, format=part.format)

    def _whole_part(self, known: OpenItem, key: Key, part: Part) -> Iterator[Event]:
        """A part that nothing has announced: its text-like fields follow as deltas."""
        fields = STREAMED.get(type(part), ())
        values = {field: getattr(part, field) for _, field in fields}
        empty: dict[str, Any] = {
            field: "" if field in ("text", "arguments") else None for field in values
        }
        place = part.item
        start = self._part_start(known, key, part, Slot.TEXT)
        bare = msgspec.structs.replace(part, **empty)
        yield PartStart(start.index, bare, item=place)
        for slot, field in fields:
            if values[field]:
                yield PartDelta(start.index, slot, values[field])
        known.parts[key].ended = True
        yield PartEnd(start.index)

    def _end(self, response: Document) -> Iterator[Event]:
        """The last document: items that nobody has finished, usage, the reason."""
        failure = failure_in(response, self._stage)
        if not self._started:
            self._started = True
            yield ResponseStart(**head_of(response)[0])
        output = response.get("output")
        for index, item in enumerate(output if isinstance(output, list) else []):
            if isinstance(item, dict):
                known = self._item({"output_index": index}, item)
                yield from self._settle(known, item)
        yield from self._end_parts()
        usage = decode_usage(response.get("usage"))
        if usage is not None:
            yield UsageUpdate(usage)
        if failure is not None:
            raise Ended(failure)
        reason, native = decode_ending(response, has_calls=self._calls)
        if reason is None:
            raise Ended(invalid("the last event tells of an answer that goes on", self._stage))
        self._ended = True
        yield ChoiceEnd(0, reason, native)
        yield ResponseEnd(ext=head_of(response)[1])

    def _end_parts(self) -> Iterator[Event]:
        """Items that neither their own last document nor the answer's has named."""
        for known in self._items.values():
            for opened in known.parts.values():
                if not opened.ended:
                    opened.ended = True
                    yield PartEnd(opened.index)

    def _finish(self, *, done: bool) -> Iterator[Event]:
        self._ended = True
        if done and self._finish_optional and self._items:
            yield from self._end_parts()
            reason = FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP
            yield ChoiceEnd(0, reason)
            yield ResponseEnd()
            return
        how = "said it was done" if done else "ended the stream"
        message = f"upstream {how} before the answer was complete"
        yield StreamError(
            Failure(FailureKind.TRUNCATED, message, retryable=True, stage=self._stage)
        )


def _response(document: Mapping[str, Json]) -> Document:
    response = document.get("response")
    return response if isinstance(response, dict) else {}


def _text_of(part: Part) -> str:
    value = getattr(part, "text", "")
    return value if isinstance(value, str) else ""


def _no_annotations(part: Part) -> dict[str, Any]:
    return {"annotations": ()} if isinstance(part, TextPart) else {}
