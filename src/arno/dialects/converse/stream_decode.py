"""Streams of the converse dialect: frames to events.

Terminal evidence, by the cut rule: `messageStop`. Usage comes behind it, in `metadata`, and ends
the stream at once; without it the end of the body does, with usage unknown. An exception ends the
stream as a failure wherever it stands, even behind `messageStop`. Everything else is a cut, and a
cut is never a success (R5).

A block opens with its first delta, but for calls and results, which have a start. A part ends with
its block, or a little later: a tagged signature may stand in the block behind it, and a call
without arguments may have been cut short, which the end reason tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

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
from arno.canon.ext import NO_EXT, Json
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import (
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    is_client_call,
)
from arno.canon.response import FinishReason
from arno.dialects.base import Batch
from arno.dialects.bounds import MAX_HELD, MAX_OPEN, PIECE, Budget
from arno.dialects.converse import quick
from arno.dialects.converse.answer import ended_badly
from arno.dialects.converse.artefacts import read_redacted, read_signature
from arno.dialects.converse.blocks_decode import result_part
from arno.dialects.converse.citations import decode_citation
from arno.dialects.converse.failures import decode_error
from arno.dialects.converse.messages import PING
from arno.dialects.converse.reasons import WHOLE, canonical_reason
from arno.dialects.converse.residue import DIALECT, keep
from arno.dialects.converse.stream_starts import KINDS, joined, readable, started_part
from arno.dialects.converse.usage import decode_usage
from arno.dialects.failures import OPERATORS, invalid
from arno.dialects.residue import Document, integer, items, text
from arno.dialects.streams import Ended
from arno.dialects.tags import Tag
from arno.wire import json
from arno.wire.errors import MalformedJSON
from arno.wire.frame import Frame

SAID = "said"
"""Kind of the block of a call whose arguments came as one value: no piece may follow."""


class _Block:
    """An open block.

    part: its index; kind: text, reasoning, redacted, call, result or image; bare: it is a call
    without arguments so far; format: who reads a signature that came behind it.
    """

    __slots__ = ("bare", "format", "held", "kind", "part")

    def __init__(self, kind: str, part: int) -> None:
        self.kind = kind
        self.part = part
        self.held: list[str] = []
        self.bare = kind == "call"
        self.format: str | None = None


class ConverseStreamDecoder:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._waiting: list[_Block] = []
        self._bare: list[_Block] = []
        self._next_part = 0
        self._started = False
        self._ended = False
        self._output = False
        self._has_calls = False
        self._regular = True
        self._held = Budget(MAX_HELD)
        self._reason: FinishReason | None = None
        self._word = ""
        self._last: Document | None = None

    @property
    def _stage(self) -> Stage:
        return Stage.MID_STREAM if self._output else Stage.BEFORE_OUTPUT

    def feed(self, frame: Frame) -> Batch:
        """What one frame means; frames after the terminal event mean nothing."""
        if self._ended or frame.data is None:
            return Batch(frame, None, ())
        if frame.event == "contentBlockDelta" and (delta := self._quick(frame.data)) is not None:
            return Batch(frame, None, (delta,), plain=True)
        return self._slow(frame, frame.data)

    def close(self) -> Batch:
        """What the end of the body means."""
        if self._ended:
            return Batch(None, None, ())
        self._ended = True
        if self._reason is None:
            return Batch(None, None, (StreamError(self._cut()),))
        return Batch(None, None, tuple(self._end(self._reason)))

    def abort(self, failure: Failure) -> Batch:
        """The stream broke below the dialect."""
        if self._ended:
            return Batch(None, None, ())
        self._ended = True
        return Batch(None, None, (StreamError(failure),))

    def _cut(self) -> Failure:
        message = "upstream ended the stream without a stop reason"
        return Failure(FailureKind.TRUNCATED, message, retryable=True, stage=self._stage)

    def _quick(self, data: bytes) -> PartDelta | None:
        """The piece in a message of the quick form that goes on with an open block, else None."""
        found = quick.read(data)
        if found is None:
            return None
        number, kind, slot, piece = found
        block = self._blocks.get(number)
        if block is None or block.kind != kind or block.held:
            return None
        block.bare = False
        return PartDelta(block.part, slot, piece)

    def _slow(self, frame: Frame, data: bytes) -> Batch:
        try:
            document = json.loads(data)
        except MalformedJSON:
            return self._fail(frame, None, invalid("an event is no JSON", self._stage))
        if not isinstance(document, dict):
            failure = invalid("an event is no JSON object", self._stage)
            return self._fail(frame, document, failure)
        if frame.event[:1] == "!":
            failure = decode_error(document, frame.event[1:], self._stage)
            return self._fail(frame, document, failure, readable=failure.kind not in OPERATORS)
        read = _READERS.get(frame.event)
        if read is None:
            alive = frame.event == PING
            opaque = Opaque(DIALECT, {frame.event: document})
            return Batch(frame, document, (KeepAlive() if alive else opaque,))
        self._regular = True
        events: list[Event] = []
        try:
            for event in self._begun(frame.event, document):
                events.append(event)
            for event in read(self, document):
                events.append(event)
        except Ended as end:
            return self._fail(frame, document, end.failure, events)
        return Batch(frame, document, tuple(events), self._regular)

    def _fail(
        self,
        frame: Frame | None,
        document: Json,
        failure: Failure,
        before: list[Event] | None = None,
        *,
        readable: bool = False,
    ) -> Batch:
        self._ended = True
        events = (*(before or ()), StreamError(failure))
        return Batch(frame, document, events, readable_error=readable)

    def _invalid(self, message: str) -> Ended:
        return Ended(invalid(message, self._stage))

    def _begun(self, name: str, document: Mapping[str, Json]) -> Iterator[Event]:
        """The start of the answer, which some hosts leave out."""
        if self._started:
            return
        self._started = True
        told = document if name == "messageStart" else {}
        residue = {k: v for k, v in told.items() if k not in (*HEAD, "role", "p")}
        yield ResponseStart(
            id=text(told.get("id")),
            model=text(told.get("model")),
            served_by=text(told.get("provider")),
            created=integer(told.get("created")),
            ext=keep(residue) if residue else NO_EXT,
        )

    def _message_start(self, document: Mapping[str, Json]) -> Iterator[Event]:
        yield from ()

    def _block_start(self, document: Mapping[str, Json]) -> Iterator[Event]:
        number = self._number(document)
        start = document.get("start")
        if not isinstance(start, Mapping):
            raise self._invalid("the start of a block is no object")
        yield from self._stop(number)
        part = started_part(start)
        if isinstance(part, str):
            raise self._invalid(part)
        if part is None:
            yield Opaque(DIALECT, {"contentBlockStart": dict(document)})
            return
        if is_client_call(part):
            if self._is_told_otherwise():
                raise self._invalid("a tool call came behind the stop reason")
            self._has_calls = True
        yield from self._open(number, KINDS[type(part)], part)
        if isinstance(part, ToolCallPart):
            yield from self._arguments(number, start["toolUse"], document)

    def _is_told_otherwise(self) -> bool:
        """True if a reason was told that calls would have made another one (R4)."""
        asked = canonical_reason(self._word, has_calls=True)
        return self._reason is not None and asked is not self._reason

    def _number(self, document: Mapping[str, Json]) -> int:
        number = integer(document.get("contentBlockIndex"))
        if number is None:
            raise self._invalid("an event of a block does not say which")
        return number

    def _open(self, number: int, kind: str, part: Part) -> Iterator[Event]:
        if kind != "redacted":
            yield from self._release()
        if len(self._blocks) + len(self._bare) >= MAX_OPEN:
            raise self._invalid(f"more than {MAX_OPEN} blocks are open")
        self._output = True
        block = self._blocks[number] = _Block(kind, self._next_part)
        self._next_part += 1
        if kind != "redacted":
            yield PartStart(block.part, part)

    def _block_delta(self, document: Mapping[str, Json]) -> Iterator[Event]:
        number = self._number(document)
        delta = document.get("delta")
        if not isinstance(delta, Mapping):
            raise self._invalid("the delta of a block is no object")
        known = False
        for member, read in _DELTAS.items():
            if delta.get(member) is not None:
                known = True
                yield from read(self, number, delta[member], document)
        if not known:
            yield Opaque(DIALECT, {"contentBlockDelta": dict(document)})

    def _in(self, number: int, kind: str, empty: Callable[[], Part]) -> Iterator[Event]:
        """Open a block of this kind, unless it is open."""
        block = self._blocks.get(number)
        if block is None or block.kind != kind:
            yield from self._stop(number)
            yield from self._open(number, kind, empty())

    def _text(self, number: int, piece: Json, document: Mapping[str, Json]) -> Iterator[Event]:
        yield from self._in(number, "text", lambda: TextPart(ext=keep({})))
        if text(piece):
            yield PartDelta(self._blocks[number].part, Slot.TEXT, piece)

    def _citation(self, number: int, wire: Json, document: Mapping[str, Json]) -> Iterator[Event]:
        yield from self._in(number, "text", lambda: TextPart(ext=keep({})))
        yield PartDelta(self._blocks[number].part, Slot.ANNOTATION, decode_citation(wire))

    def _arguments(self, number: int, wire: Json, document: Mapping[str, Json]) -> Iterator[Event]:
        block = self._blocks.get(number)
        if block is None or block.kind not in ("call", SAID):
            raise self._invalid("arguments arrived before their call")
        piece = wire.get("input") if isinstance(wire, Mapping) else None
        if not piece:
            return
        if isinstance(piece, Mapping) and block.bare:
            block.kind, piece = SAID, json.dumps(piece).decode()
        elif not isinstance(piece, str) or block.kind == SAID:
            raise self._invalid("a piece of arguments does not fit what came before")
        block.bare = False
        yield PartDelta(block.part, Slot.ARGUMENTS, piece)

    def _result(self, number: int, wire: Json, document: Mapping[str, Json]) -> Iterator[Event]:
        block = self._blocks.get(number)
        if block is None or block.kind != "result":
            raise self._invalid("a result arrived before its start")
        for piece in items(wire):
            said = piece.get("text") if isinstance(piece, Mapping) else None
            if isinstance(said, str):
                self._hold(number, said)
            else:
                yield from self._flush_result(block)
                yield PartDelta(block.part, Slot.MEDIA, result_part(piece))

    def _flush_result(self, block: _Block) -> Iterator[Event]:
        """The text of a result as far as it has come, as one part of it."""
        if block.held:
            part = TextPart(text="".join(block.held), ext=keep({}))
            block.held.clear()
            yield PartDelta(block.part, Slot.MEDIA, part)

    def _image(self, number: int, wire: Json, document: Mapping[str, Json]) -> Iterator[Event]:
        block = self._blocks.get(number)
        if block is None or block.kind != "image":
            raise self._invalid("an image arrived before its start")
        source = wire.get("source") if isinstance(wire, Mapping) else None
        data = source.get("bytes") if isinstance(source, Mapping) else None
        if text(data):
            yield PartDelta(block.part, Slot.MEDIA, data)

    def _reasoning(self, number: int, wire: Json, document: Mapping[str, Json]) -> Iterator[Event]:
        if not isinstance(wire, Mapping):
            raise self._invalid("a piece of reasoning is no object")
        said, proof, sealed = (text(wire.get(k)) for k in ("text", "signature", "redactedContent"))
        if said is not None or proof is not None:
            yield from self._in(number, "reasoning", lambda: readable(document))
        if said is not None:
            yield PartDelta(self._blocks[number].part, Slot.TEXT, said)
        if sealed is not None:
            yield from self._in(number, "redacted", ReasoningPart)
        self._hold(number, proof or sealed)

    def _hold(self, number: int, piece: str | None) -> None:
        """Keep a piece of what is only told whole."""
        if piece is None:
            return
        if not self._held.take(len(piece) + PIECE):
            raise self._invalid("too much waits for the ends of blocks")
        self._blocks[number].held.append(piece)

    def _block_stop(self, document: Mapping[str, Json]) -> Iterator[Event]:
        yield from self._stop(self._number(document))

    def _stop(self, number: int) -> Iterator[Event]:
        """End a block; what its part may still get from the next one it waits for."""
        block = self._blocks.pop(number, None)
        if block is None:
            return
        if block.kind == "redacted":
            yield from self._sealed(block)
        elif block.kind == "reasoning":
            yield from self._end_reasoning(block)
        else:
            yield from self._flush_result(block)
            self._waiting.append(block)

    def _end_reasoning(self, block: _Block) -> Iterator[Event]:
        format_: str | None = None
        if block.held:
            tag = read_signature("".join(block.held))
            format_ = tag.format
            yield PartDelta(block.part, Slot.SIGNATURE, tag.signature or "")
        yield PartEnd(block.part, format=format_)

    def _sealed(self, block: _Block) -> Iterator[Event]:
        """An artefact that stands for itself, or the signature of the part before."""
        wire = joined(block.held)
        found = read_redacted(wire)
        if isinstance(found, Tag):
            if self._waiting:
                last = self._waiting[-1]
                last.format = found.format
                yield PartDelta(last.part, Slot.SIGNATURE, found.signature or "")
                yield from self._release()
            return
        yield from self._release()
        if found is None:
            document = {"reasoningContent": {"redactedContent": wire}}
            yield PartStart(block.part, OpaquePart(dialect=DIALECT, document=document))
        else:
            yield PartStart(block.part, found)
        yield PartEnd(block.part)

    def _release(self) -> Iterator[Event]:
        """End the parts that waited, but for calls without arguments."""
        waiting, self._waiting = self._waiting, []
        for block in waiting:
            if block.bare:
                self._bare.append(block)
            else:
                yield PartEnd(block.part, format=block.format)

    def _settle(self, reason: FinishReason) -> Iterator[Event]:
        """End every part; a whole call without arguments has the arguments {} (R3 i)."""
        for number in sorted(self._blocks):
            yield from self._stop(number)
        yield from self._release()
        bare, self._bare = self._bare, []
        for block in bare:
            if reason in WHOLE:
                yield PartDelta(block.part, Slot.ARGUMENTS, "{}")
            yield PartEnd(block.part, format=block.format)

    def _message_stop(self, document: Mapping[str, Json]) -> Iterator[Event]:
        word = text(document.get("stopReason"))
        if word is None:
            raise self._invalid("upstream stopped without a reason")
        reason = canonical_reason(word, has_calls=self._has_calls)
        if reason is FinishReason.ERROR:
            raise Ended(ended_badly(word, self._stage))
        if self._reason is not None:
            return
        yield from self._settle(reason)
        self._regular = canonical_reason(word, has_calls=False) is reason
        self._reason, self._word = reason, word
        residue = {k: v for k, v in document.items() if k not in ("stopReason", "p")}
        yield ChoiceEnd(0, reason, word, keep(residue))
        if self._last is not None:
            yield from self._end(reason)

    def _metadata(self, document: Mapping[str, Json]) -> Iterator[Event]:
        usage = decode_usage(document.get("usage"), document.get("serviceTier"))
        if usage is not None:
            yield UsageUpdate(usage)
        self._last = {k: v for k, v in document.items() if k not in ("usage", "p")}
        if self._reason is not None:
            yield from self._end(self._reason)

    def _end(self, reason: FinishReason) -> Iterator[Event]:
        self._ended = True
        yield from self._settle(reason)
        yield ResponseEnd(keep(self._last) if self._last else NO_EXT)


HEAD = ("id", "model", "provider", "created")
"""Extension members of `messageStart`."""


_READERS: dict[str, Callable[[ConverseStreamDecoder, Mapping[str, Json]], Iterator[Event]]] = {
    "messageStart": ConverseStreamDecoder._message_start,
    "contentBlockStart": ConverseStreamDecoder._block_start,
    "contentBlockDelta": ConverseStreamDecoder._block_delta,
    "contentBlockStop": ConverseStreamDecoder._block_stop,
    "messageStop": ConverseStreamDecoder._message_stop,
    "metadata": ConverseStreamDecoder._metadata,
}
"""Type of an event to what reads its document."""

_Read = Callable[[ConverseStreamDecoder, int, Any, Mapping[str, Any]], Iterator[Event]]
_DELTAS: dict[str, _Read] = {
    "text": ConverseStreamDecoder._text,
    "reasoningContent": ConverseStreamDecoder._reasoning,
    "toolUse": ConverseStreamDecoder._arguments,
    "toolResult": ConverseStreamDecoder._result,
    "citation": ConverseStreamDecoder._citation,
    "image": ConverseStreamDecoder._image,
}
"""Member of a delta to what reads it."""
