"""Streams of this dialect: frames to events.

Terminal evidence: `response.completed` or `response.incomplete`. `response.failed`, an `error`
document and an error member end the stream as a failure. Everything else (an end mark alone, the
end of the body) is a cut, and a cut is never a success (R5); for hosts that never say more than the
end mark (`finish_optional`) it is an end.

When an item is done, it is read as in a whole answer, and what its pieces have not said yet is said
then, so a stream folds to the value of the whole answer (`stream_items` finds the item that a
document is about). Where pieces and whole do not fit together, the stream has failed, for nobody
knows which is meant. One difference is none: the artefact in the last document may be sealed anew
and differ from the item's own; both are good, and the one that comes with the item is told, since a
part that waited for the last document would hold back all that follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from io import StringIO
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
from arno.canon.parts import (
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    is_client_call,
)
from arno.canon.response import FinishReason
from arno.canon.unfold import STREAMED
from arno.dialects.arguments import to_object
from arno.dialects.base import Batch
from arno.dialects.bounds import MAX_HELD, Budget
from arno.dialects.failures import OPERATORS, decode_error, invalid
from arno.dialects.residue import Document, integer, text
from arno.dialects.responses import quick
from arno.dialects.responses.answer import failure_in, head_of, with_arguments
from arno.dialects.responses.items import (
    CALL,
    BrokenCall,
    Key,
    Read,
    kind_of,
    read_item,
)
from arno.dialects.responses.kinds import (
    FUNCTION_CALL,
    MESSAGE,
    REASONING,
    STREAMED_CALLS,
)
from arno.dialects.responses.reasons import WHOLE, decode_ending
from arno.dialects.responses.residue import DIALECT, keep, residue_of
from arno.dialects.responses.stream_items import Items, Open, OpenItem, place_of
from arno.dialects.responses.stream_kinds import (
    ENDS,
    ENTRIES,
    ERRORS,
    FAILS,
    HOSTS,
    PARTS,
    STARTS,
    WHOLES,
    key_of,
)
from arno.dialects.responses.usage import decode_usage
from arno.dialects.streams import Ended, is_comment, without_document
from arno.wire import json
from arno.wire.errors import MalformedJSON
from arno.wire.frame import Frame

DONE = b"[DONE]"


class ResponsesStreamDecoder:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, *, finish_optional: bool = False) -> None:
        self._finish_optional = finish_optional
        self._items = Items()
        self._held = Budget(MAX_HELD)
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
        item = self._items.all.get(piece.output_index)
        place = piece.place()
        if item is None or place is None or not piece.delta:
            return None
        part = item.parts.get(place[0])
        if part is None or part.ended or not self._held.take(len(piece.delta)):
            return None
        part.said.write(piece.delta)
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
        read = _READERS.get(kind)
        if read is not None:
            yield from read(self, kind, document)
        elif not kind.endswith(".done"):
            yield Opaque(DIALECT, document)

    def _error(self, document: Document) -> Failure:
        """The failure of an `error` document, whose members may stand at its top."""
        error = document.get("error")
        if not error:
            known = ("code", "message", "param", "status")
            error = {key: document[key] for key in known if key in document}
        return decode_error(error, self._stage)

    def _start(self, kind: str, document: Document) -> Iterator[Event]:
        response = _response(document)
        failure = failure_in(response, self._stage)
        if failure is not None:
            raise Ended(failure)
        if self._started:
            return
        self._started = True
        known, _ = head_of(response)
        yield ResponseStart(**known)

    def _begin(self) -> Iterator[Event]:
        """A stream whose first document is no start."""
        if not self._started:
            self._started = True
            yield ResponseStart()

    def _added(self, kind: str, document: Document) -> Iterator[Event]:
        item = document.get("item")
        if not isinstance(item, dict):
            return
        yield from self._begin()
        known = self._items.announced(document, item)
        if known.done or known.document or known.parts:
            self._check_same(known, item, named=bool(known.done or known.document))
        if known.done or CALL in known.parts:
            return
        known.document = item
        known.place = place_of(kind_of(item), known.index, text(item.get("id")))
        if kind_of(item) in STREAMED_CALLS and text(item.get("name")) and text(item.get("call_id")):
            yield from self._open_call(known, item)

    def _check_same(self, known: OpenItem, item: Document, *, named: bool = True) -> None:
        """An item may be told again, by its name if it has one; its place is taken for others."""
        if not known.may_be(item) or (named and not known.is_named_in(item)):
            raise self._broken("two items at one place")

    def _broken(self, what: str) -> Ended:
        return Ended(invalid(f"the stream holds {what}", self._stage))

    def _open_call(self, known: OpenItem, item: Document) -> Iterator[Event]:
        """A call whose id and name are known; arguments that came before them follow."""
        ((_, part),) = read_item({**item, "arguments": "", "input": ""}, known.index).parts
        yield self._part_start(known, CALL, part, Slot.ARGUMENTS)
        opened = known.parts[CALL]
        given = item.get("arguments") or item.get("input")
        given = given if isinstance(given, str) else ""
        early = self._taken_early(known)
        if not early and _is_object(given):
            opened.unsaid = given  # some hosts say the whole in pieces again
        else:
            yield from self._more(opened, early or given)

    def _taken_early(self, known: OpenItem) -> str:
        early = "".join(known.early)
        known.early = []
        self._held.release(len(early))
        return early

    def _more(self, opened: Open, piece: str) -> Iterator[Event]:
        """More of a part's text."""
        if not piece:
            return
        self._hold(piece)
        opened.said.write(piece)
        yield PartDelta(opened.index, opened.slot, piece)

    def _hold(self, piece: str) -> None:
        if not self._held.take(len(piece)):
            raise self._broken(f"parts of more than {MAX_HELD} characters")

    def _close(self, opened: Open, part: Part | None = None) -> PartEnd:
        """The end of a part, and what was read of it as a whole."""
        opened.ended = True
        self._held.release(opened.said.tell())
        opened.said = StringIO()
        if part is None:
            return PartEnd(opened.index)
        return PartEnd(opened.index, item=part.item, ext=part.ext, format=part.format)

    def _part_start(self, known: OpenItem, key: Key, part: Part, slot: Slot) -> PartStart:
        """Open a part, emptied of what comes as deltas."""
        if is_client_call(part):
            self._calls = True
        self._output = True
        opened = Open(self._items.next_part(known), type(part), slot)
        known.parts[key] = opened
        kept = {name: each for name, each in residue_of(part.ext).items() if name == "type"}
        part = msgspec.structs.replace(part, item=known.place, ext=keep(kept))
        return PartStart(opened.index, part, item=known.place)

    def _part(self, kind: str, document: Document) -> Iterator[Event]:
        """An entry of an item begins, or is said as a whole: what is not said of it yet is."""
        member, number = PARTS[kind]
        key = member, integer(document.get(number)) or 0
        yield from self._begin()
        entry = document.get("part")
        if not isinstance(entry, dict):
            return
        reasons = member == "summary" or entry.get("type") == "reasoning_text"
        known = self._items.told(document, REASONING if reasons else MESSAGE)
        if known.done:
            return
        if key not in known.parts:
            yield from self._open_entry(known, key, entry)
        if kind.endswith(".done") and key in known.parts:
            ((_, part),) = read_item({"type": known.place.kind, member: [entry]}, 0).parts
            yield from self._complete(known.parts[key], part)

    def _open_entry(self, known: OpenItem, key: Key, entry: Document) -> Iterator[Event]:
        """Open the part that an entry of content is, with what it says already."""
        lone: Document = {"type": known.place.kind, key[0]: [entry]}
        read = read_item(lone, known.index).parts
        part = read[0][1] if len(read) == 1 else None
        if not isinstance(part, TextPart | RefusalPart | ReasoningPart):
            return  # told as a whole when its item is done
        given = _text_of(part)
        part = msgspec.structs.replace(part, text="", **_no_annotations(part))
        yield self._part_start(known, key, part, Slot.TEXT)
        yield from self._more(known.parts[key], given)

    def _piece(self, kind: str, document: Document) -> Iterator[Event]:
        """A piece that the quick way did not take."""
        delta = document.get("delta")
        if not isinstance(delta, str):
            raise Ended(invalid(f"a {kind} without text", self._stage))
        key = key_of(kind, document)
        yield from self._begin()
        known = self._items.told(document, HOSTS[kind])
        if key not in known.parts and key != CALL and not known.done:
            yield from self._open_entry(known, key, ENTRIES[kind])
        opened = known.parts.get(key)
        if opened is None or opened.ended:
            if delta:
                self._keep_early(known, delta)
            return
        yield from self._more(opened, delta)
        if document.get("logprobs") and opened.kind is TextPart:
            yield PartDelta(opened.index, Slot.LOGPROBS, {"content": document["logprobs"]})

    def _keep_early(self, known: OpenItem, piece: str) -> None:
        """A piece that no part can take yet: of a call without a name, or of an entry that is told
        when its item is done."""
        if known.done:
            raise self._broken("a piece of what has ended")
        self._hold(piece)
        known.early.append(piece)

    def _whole_text(self, kind: str, document: Document) -> Iterator[Event]:
        """All pieces of a part at once: those that did not come are said."""
        piece, member = WHOLES[kind]
        value = document.get(member)
        if not isinstance(value, str) or not value:
            return
        key = key_of(piece, document)
        yield from self._begin()
        known = self._items.told(document, HOSTS[piece])
        if known.done:
            return
        if key == CALL and key not in known.parts:
            early = self._taken_early(known)
            rest = self._rest(early, value, Slot.ARGUMENTS)
            self._hold(early + rest)
            known.early = [early + rest]
            return
        if key not in known.parts:
            yield from self._open_entry(known, key, ENTRIES[piece])
        opened = known.parts.get(key)
        if opened is None:
            self._keep_early(known, value)
        else:
            yield from self._more(opened, self._rest(opened.said.getvalue(), value, opened.slot))

    def _annotation(self, kind: str, document: Document) -> Iterator[Event]:
        known = self._items.told(document, MESSAGE)
        opened = known.parts.get(("content", integer(document.get("content_index")) or 0))
        if opened is None or opened.ended or opened.kind is not TextPart:
            return
        entry = {"type": "output_text", "text": "", "annotations": [document.get("annotation")]}
        ((_, part),) = read_item({"content": [entry]}, known.index).parts
        if isinstance(part, TextPart):
            opened.cited += 1
            yield PartDelta(opened.index, Slot.ANNOTATION, part.annotations[0])

    def _done(self, kind: str, document: Document) -> Iterator[Event]:
        item = document.get("item")
        if not isinstance(item, dict):
            return
        yield from self._begin()
        known = self._items.whole(document, item)
        if known.done:
            self._check_same(known, item)
        yield from self._settle(known, item)

    def _settle(self, known: OpenItem, item: Document) -> Iterator[Event]:
        """An item as a whole: say what its pieces have not, and end its parts."""
        if not known.may_be(item):
            raise self._broken("two items at one place")
        if known.done:
            return
        known.done = True
        self._taken_early(known)
        read: Read = read_item(item, known.index)
        if read.parts:
            first = read.parts[0][1].item
            known.place = first if first is not None else known.place
        for key, part in read.parts:
            opened = known.parts.get(key)
            if opened is None:
                yield from self._whole_part(known, key, with_arguments(part))
            else:
                yield from self._settle_part(opened, part)
        for opened in known.parts.values():
            if not opened.ended:
                yield self._close(opened)

    def _settle_part(self, opened: Open, part: Part) -> Iterator[Event]:
        yield from self._complete(opened, part)
        if isinstance(part, ToolCallPart) and not opened.said.tell():
            part = with_arguments(msgspec.structs.replace(part, arguments=opened.unsaid))
            yield from self._more(opened, getattr(part, "arguments", ""))
        if part.signature is not None:
            yield PartDelta(opened.index, Slot.SIGNATURE, part.signature)
        yield self._close(opened, part)

    def _complete(self, opened: Open, part: Part) -> Iterator[Event]:
        """What the pieces of a part have not said yet."""
        if type(part) is not opened.kind:
            raise self._broken("a part that becomes another")
        value = part.arguments if isinstance(part, ToolCallPart) else _text_of(part)
        said = opened.said.getvalue()
        if not isinstance(part, ReasoningPart):
            yield from self._more(opened, self._rest(said, value, opened.slot))
        elif value.startswith(said):  # a summary may be put in other words when it is done
            yield from self._more(opened, value[len(said) :])
        annotations = part.annotations if isinstance(part, TextPart) else ()
        for annotation in annotations[opened.cited :]:
            opened.cited += 1
            yield PartDelta(opened.index, Slot.ANNOTATION, annotation)

    def _rest(self, said: str, value: str, slot: Slot) -> str:
        """What `value` says behind `said`. Raises Ended if it says something else."""
        if value.startswith(said):
            return value[len(said) :]
        if not value or value.strip() == said.strip():
            return ""
        if slot is Slot.ARGUMENTS and _is_same_json(said, value):
            return ""
        what = "arguments" if slot is Slot.ARGUMENTS else "a text"
        raise self._broken(f"{what} of which the pieces say something else")

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
        yield self._close(known.parts[key])

    def _end(self, kind: str, document: Document) -> Iterator[Event]:
        """The last document: items that nobody has finished, usage, the reason."""
        response = _response(document)
        failure = failure_in(response, self._stage)
        if not self._started:
            self._started = True
            yield ResponseStart(**head_of(response)[0])
        output = response.get("output")
        for item, known in self._items.matched(output if isinstance(output, list) else []):
            yield from self._settle(known, item)
        reason, native = decode_ending(response, has_calls=self._calls)
        yield from self._end_parts(is_whole=failure is None and reason in WHOLE)
        usage = decode_usage(response.get("usage"))
        if usage is not None:
            yield UsageUpdate(usage)
        if failure is not None:
            raise Ended(failure)
        if reason is None:
            raise Ended(invalid("the last event tells of an answer that goes on", self._stage))
        if self._is_lost():
            raise self._broken("pieces of what nobody has named")
        self._ended = True
        yield ChoiceEnd(0, reason, native)
        yield ResponseEnd(ext=head_of(response)[1])

    def _end_parts(self, *, is_whole: bool) -> Iterator[Event]:
        """Items that neither their own last document nor the answer's has named."""
        for known in self._items.all.values():
            for opened in known.parts.values():
                if opened.ended:
                    continue
                if not opened.said.tell():
                    empty = "{}" if is_whole and known.place.kind == FUNCTION_CALL else ""
                    yield from self._more(opened, opened.unsaid or empty)
                yield self._close(opened)

    def _is_lost(self) -> bool:
        return any(known.is_lost for known in self._items.all.values())

    def _finish(self, *, done: bool) -> Iterator[Event]:
        self._ended = True
        if done and self._finish_optional and self._items.all and not self._is_lost():
            yield from self._end_parts(is_whole=True)
            reason = FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP
            yield ChoiceEnd(0, reason)
            yield ResponseEnd()
            return
        how = "said it was done" if done else "ended the stream"
        message = f"upstream {how} before the answer was complete"
        yield StreamError(
            Failure(FailureKind.TRUNCATED, message, retryable=True, stage=self._stage)
        )


_READERS: dict[str, Callable[[ResponsesStreamDecoder, str, Document], Iterator[Event]]] = {
    **dict.fromkeys(STARTS, ResponsesStreamDecoder._start),
    **dict.fromkeys((*ENDS, *FAILS), ResponsesStreamDecoder._end),
    **dict.fromkeys(PARTS, ResponsesStreamDecoder._part),
    **dict.fromkeys(quick.PIECES, ResponsesStreamDecoder._piece),
    **dict.fromkeys(WHOLES, ResponsesStreamDecoder._whole_text),
    "response.output_item.added": ResponsesStreamDecoder._added,
    "response.output_item.done": ResponsesStreamDecoder._done,
    "response.output_text.annotation.added": ResponsesStreamDecoder._annotation,
}
"""Type of a document to what reads it. Others are passed on, but for those that only say that
something is done."""


def _response(document: Mapping[str, Json]) -> Document:
    response = document.get("response")
    return response if isinstance(response, dict) else {}


def _is_object(value: str) -> bool:
    return bool(value) and to_object(value)[1]


def _is_same_json(one: str, other: str) -> bool:
    try:
        return json.equal(json.loads(one), json.loads(other))
    except MalformedJSON:
        return False


def _text_of(part: Part) -> str:
    value = getattr(part, "text", "")
    return value if isinstance(value, str) else ""


def _no_annotations(part: Part) -> dict[str, Any]:
    return {"annotations": ()} if isinstance(part, TextPart) else {}
