"""Streams of the messages dialect: frames to events.

Terminal evidence, by the cut rule: `message_stop`, or the end of the stream behind a
`message_delta` with a stop reason, since every block has ended by then. An `error` event ends the
stream as a failure wherever it stands. Everything else is a cut, and never a success (R5).

An end of a block is told with what comes next: the signature of a part may stand in a block behind
it (`artefacts`), and a call without arguments may have been cut short, which the end reason tells.
Source: Anthropic, "Streaming messages"; recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from arno.canon.events import (
    ChoiceEnd,
    Event,
    KeepAlive,
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
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from arno.dialects import tags
from arno.dialects.base import Batch
from arno.dialects.bounds import MAX_HELD, MAX_OPEN, Budget
from arno.dialects.failures import OPERATORS, invalid
from arno.dialects.messages import quick
from arno.dialects.messages.answer import has_calls, is_unreadable
from arno.dialects.messages.blocks import SIGNED, decode_block, tagged_signature
from arno.dialects.messages.citations import decode_citation
from arno.dialects.messages.failures import decode_error
from arno.dialects.messages.reasons import CANONICAL, WHOLE, canonical_reason
from arno.dialects.messages.residue import DIALECT, keep
from arno.dialects.messages.stream_open import OpenBlock
from arno.dialects.messages.usage import decode_usage, known, merged
from arno.dialects.residue import Document, integer, items, take, text
from arno.dialects.streams import Ended, is_comment, without_document
from arno.wire import json
from arno.wire.errors import MalformedJSON
from arno.wire.frame import Frame

TAKES: dict[type, frozenset[str]] = {
    TextPart: frozenset({quick.TEXT}),
    ReasoningPart: frozenset({quick.THINKING}),
    ToolCallPart: frozenset({quick.ARGUMENTS}),
}
"""Part to the pieces its block takes."""

PIECES: dict[str, tuple[str, str]] = {
    "text_delta": (quick.TEXT, "text"),
    "thinking_delta": (quick.THINKING, "thinking"),
    "input_json_delta": (quick.ARGUMENTS, "partial_json"),
}
"""Type of a delta to what it is a piece of, and the member that holds it."""

SLOTS: dict[str, Slot] = {
    quick.TEXT: Slot.TEXT,
    quick.THINKING: Slot.TEXT,
    quick.ARGUMENTS: Slot.ARGUMENTS,
}


USUAL: Document = {"type": "message", "role": "assistant", "content": [], "usage": {}}
"""Members of a `message_start` that say nothing in this form."""


class MessagesStreamDecoder:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self) -> None:
        self._blocks: dict[int, OpenBlock] = {}
        self._ending: OpenBlock | None = None
        self._next_part = 0
        self._calls = False
        self._started = self._ended = self._output = self._finished = False
        self._usage: Document = {}
        self._regular = True
        self._word = ""
        self._held = Budget(MAX_HELD)

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
        delta = self._quick(data)
        if delta is not None:
            return Batch(frame, None, (delta,), plain=True)
        return self._read(frame, data)

    def _quick(self, data: bytes) -> PartDelta | None:
        """The piece of a quick document for a block that is open, else None."""
        piece = quick.read(data)
        if piece is None or self._ending is not None:
            return None
        index, what, value = piece
        block = self._blocks.get(index)
        if block is None or not value or what not in TAKES.get(type(block.part), ()):
            return None
        block.said = True
        return PartDelta(block.place, SLOTS[what], value)

    def _read(self, frame: Frame, data: bytes) -> Batch:
        try:
            document = json.loads(data)
        except MalformedJSON:
            return self._fail(frame, None, invalid("an event is no JSON", self._stage))
        if not isinstance(document, dict):
            return self._fail(frame, None, invalid("an event is no JSON object", self._stage))
        self._regular = True
        events: list[Event] = []
        failure: Failure | None = None
        try:
            for event in self._events(frame, document, data):
                events.append(event)
        except Ended as fault:
            failure = fault.failure
        if failure is None:
            return Batch(frame, document, tuple(events), self._regular)
        self._ended = True
        events.append(StreamError(failure))
        readable = document.get("type") == frame.event == "error" and failure.kind not in OPERATORS
        return Batch(frame, document, tuple(events), self._regular, readable)

    def close(self) -> Batch:
        """What the end of the body means."""
        if self._ended:
            return Batch(None, None, ())
        self._ended = True
        if self._finished:
            return Batch(None, None, (*self._all_ends(), ResponseEnd()))
        message = "upstream ended the stream without a stop reason"
        failure = Failure(FailureKind.TRUNCATED, message, retryable=True, stage=self._stage)
        return Batch(None, None, (StreamError(failure),))

    def abort(self, failure: Failure) -> Batch:
        """The stream broke below the dialect."""
        if self._ended:
            return Batch(None, None, ())
        return self._fail(None, None, failure)

    def _fail(self, frame: Frame | None, document: Json, failure: Failure) -> Batch:
        self._ended = True
        return Batch(frame, document, (StreamError(failure),))

    def _events(self, frame: Frame, document: Document, data: bytes) -> Iterator[Event]:
        type_ = document.get("type")
        if type_ == "error" or frame.event == "error":
            raise Ended(decode_error(document.get("error") or document, self._stage))
        handler = _HANDLERS.get(str(type_))
        if handler is None:
            # Errors of a road below (an exception in a binary stream) have no type of ours.
            if type_ is None and (frame.event.startswith("!") or document.get("error")):
                raise Ended(decode_error(document.get("error") or document, self._stage))
            yield Opaque(DIALECT, document)
            return
        if handler is not _HANDLERS["message_start"] and type_ != "ping" and not self._started:
            raise Ended(invalid(f"{type_} came before message_start", self._stage))
        yield from handler(self, document, data)

    def _start(self, document: Document, data: bytes) -> Iterator[Event]:
        message = document.get("message")
        if not isinstance(message, Mapping) or self._started:
            raise Ended(invalid("message_start does not begin a message", self._stage))
        self._started = True
        values, residue = take(message, "id", "model", "provider", "content", "usage")
        for key, usual in USUAL.items():
            if residue.get(key) == usual:
                del residue[key]
        yield ResponseStart(
            id=text(values.get("id")),
            model=text(values.get("model")),
            served_by=text(values.get("provider")),
            ext=keep({**residue, **{k: v for k, v in document.items() if k not in _START}}),
        )
        for block in filter(_is_block, items(values.get("content"))):
            yield from self._open(decode_block(block), None)
            yield from self._close_ending()
        yield from self._count(values.get("usage"))

    def _count(self, wire: Json) -> Iterator[Event]:
        self._usage = merged(self._usage, wire) if known(wire) else self._usage
        usage = decode_usage(self._usage) if known(wire) else None
        if usage is not None:
            yield UsageUpdate(usage)

    def _block_start(self, document: Document, data: bytes) -> Iterator[Event]:
        index, wire = integer(document.get("index")), document.get("content_block")
        if index is None or not isinstance(wire, Mapping) or index in self._blocks:
            raise Ended(invalid("content_block_start begins no block", self._stage))
        behind = tagged_signature(wire)
        ending = self._ending
        if behind is not None and ending is not None and isinstance(ending.part, SIGNED):
            ending.format = behind.format
            yield PartDelta(ending.place, Slot.SIGNATURE, behind.signature or "")
            self._blocks[index] = OpenBlock(-1, OpaquePart(dialect=DIALECT, document=None))
            return
        yield from self._close_ending()
        raw = _STARTED.decode(data).content_block.input if "input" in wire else None
        yield from self._open(decode_block(wire, raw), index)
        self._hold(self._blocks[index], len(data))

    def _hold(self, block: OpenBlock, size: int) -> None:
        """Count what of a block waits for its end. size: bytes of the document that told it."""
        if block.growing is None and not block.waiting:
            return
        block.held += size
        if not self._held.take(size):
            raise Ended(invalid("too much waits for the ends of blocks", self._stage))

    def _open(self, part: Part, index: int | None) -> Iterator[Event]:
        """Begin a part; index None: it is whole, and ends at once."""
        if is_unreadable(part):
            raise Ended(invalid("a tool call cannot be read", self._stage))
        if len(self._blocks) >= MAX_OPEN:
            raise Ended(invalid(f"more than {MAX_OPEN} blocks are open", self._stage))
        if has_calls([part]) and self._is_told_otherwise():
            raise Ended(invalid("a tool call came behind the stop reason", self._stage))
        self._output = True
        block = OpenBlock(self._next_part, part)
        self._next_part += 1
        self._calls = self._calls or has_calls([part])
        if index is None:
            self._ending = block
        else:
            self._blocks[index] = block
        if isinstance(part, ToolCallPart):
            block.waiting = part.arguments
            block.part = part = msgspec.structs.replace(part, arguments="")
        if not isinstance(part, OpaquePart):
            yield PartStart(block.place, part)

    def _is_told_otherwise(self) -> bool:
        """True if a reason was told that calls would have made another one (R4)."""
        asked, told = (canonical_reason(self._word, has_calls=c) for c in (True, self._calls))
        return self._finished and asked is not told

    def _delta(self, document: Document, data: bytes) -> Iterator[Event]:
        delta = document.get("delta")
        block = self._blocks.get(_index(document))
        if block is None or not isinstance(delta, Mapping):
            raise Ended(invalid("a delta belongs to no open block", self._stage))
        type_ = str(delta.get("type"))
        if block.growing is not None:
            self._hold(block, len(data))
            block.growing.add(delta)
        elif type_ in PIECES:
            yield from self._piece(block, type_, delta)
        elif type_ == "signature_delta" and isinstance(block.part, ReasoningPart):
            yield from self._signature(block, delta.get("signature"))
        elif type_ == "citations_delta" and isinstance(block.part, TextPart):
            annotation = decode_citation(delta.get("citation"))
            yield PartDelta(block.place, Slot.ANNOTATION, annotation)
        else:
            yield Opaque(DIALECT, document)

    def _piece(self, block: OpenBlock, type_: str, delta: Mapping[str, Json]) -> Iterator[Event]:
        what, member = PIECES[type_]
        value = delta.get(member)
        if what not in TAKES.get(type(block.part), ()) or not isinstance(value, str | None):
            raise Ended(invalid(f"{type_} does not fit its block", self._stage))
        if value:
            block.said = True
            yield PartDelta(block.place, SLOTS[what], value)

    def _signature(self, block: OpenBlock, value: Json) -> Iterator[Event]:
        signature = value if isinstance(value, str) else ""
        tag = tags.read(signature)
        if tag is not None:
            block.format = tag.format
            signature = tag.signature or ""
        if signature:
            yield PartDelta(block.place, Slot.SIGNATURE, signature)

    def _block_stop(self, document: Document, data: bytes) -> Iterator[Event]:
        index = _index(document)
        block = self._blocks.pop(index, None)
        if block is None:
            raise Ended(invalid("content_block_stop ends no open block", self._stage))
        if block.place < 0:
            return
        yield from self._close_ending()
        self._ending = block

    def _close_ending(self, *, whole: bool = True) -> Iterator[Event]:
        """Tell the end of the block that has stopped. whole: it was not cut short."""
        block, self._ending = self._ending, None
        if block is None:
            return
        self._held.release(block.held)
        if block.growing is not None:
            yield PartStart(
                block.place, OpaquePart(dialect=DIALECT, document=block.growing.whole())
            )
        if block.is_bare:
            block.waiting = "{}" if whole else ""
        if block.waiting and not block.said:
            yield PartDelta(block.place, Slot.ARGUMENTS, block.waiting)
        format_ = block.format if block.format != block.part.format else None
        yield PartEnd(block.place, format=format_)

    def _all_ends(self) -> Iterator[Event]:
        """Every part ends with the answer, those included whose block was never stopped.

        A call without arguments has none if the reason says that it may lack its end.
        """
        whole = canonical_reason(self._word, has_calls=self._calls) in WHOLE
        yield from self._close_ending(whole=whole)
        for index in sorted(self._blocks):
            block = self._blocks.pop(index)
            if block.place >= 0:
                self._ending = block
                yield from self._close_ending(whole=whole)

    def _message_delta(self, document: Document, data: bytes) -> Iterator[Event]:
        delta = document.get("delta")
        values, residue = take(delta, "stop_reason") if isinstance(delta, Mapping) else ({}, {})
        outer = {k: v for k, v in document.items() if k not in _DELTA}
        word = text(values.get("stop_reason"))
        yield from self._count(document.get("usage"))
        if word is None or self._finished:
            return
        self._finished, self._word = True, word
        reason = canonical_reason(word, has_calls=self._calls)
        if reason is None:
            return
        yield from self._all_ends()
        if word not in CANONICAL:
            residue["stop_reason"] = word
        self._regular = CANONICAL.get(word, reason) is reason
        yield ChoiceEnd(0, reason, word, keep({**residue, **outer}))

    def _stop(self, document: Document, data: bytes) -> Iterator[Event]:
        if not self._finished:
            message = "message_stop came without a stop reason"
            raise Ended(Failure(FailureKind.TRUNCATED, message, retryable=True, stage=self._stage))
        self._ended = True
        yield from self._all_ends()
        yield ResponseEnd(keep({k: v for k, v in document.items() if k != "type"}))

    def _ping(self, document: Document, data: bytes) -> Iterator[Event]:
        yield KeepAlive("ping")


_START = frozenset({"type", "message"})
_DELTA = frozenset({"type", "delta", "usage"})


class _Started(msgspec.Struct, gc=False):
    class Block(msgspec.Struct, gc=False):
        """The start of a block, as far as its arguments go."""

        input: msgspec.Raw = msgspec.Raw()

    content_block: Block


_STARTED = msgspec.json.Decoder(_Started)


def _is_block(value: Json) -> bool:
    return isinstance(value, Mapping)


def _index(document: Mapping[str, Json]) -> int:
    index = integer(document.get("index"))
    return -1 if index is None else index


_Handler = Callable[[MessagesStreamDecoder, Document, bytes], Iterator[Event]]

_HANDLERS: dict[str, _Handler] = {
    "message_start": MessagesStreamDecoder._start,
    "content_block_start": MessagesStreamDecoder._block_start,
    "content_block_delta": MessagesStreamDecoder._delta,
    "content_block_stop": MessagesStreamDecoder._block_stop,
    "message_delta": MessagesStreamDecoder._message_delta,
    "message_stop": MessagesStreamDecoder._stop,
    "ping": MessagesStreamDecoder._ping,
}
