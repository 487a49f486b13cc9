"""Streams of the converse dialect: events to messages.

One block is open at a time, as the service has it: parts that other dialects interleave wait their
turn, in the order in which they began, within bounds (`bounds`). `messageStop` waits for the end of
the answer, since parts may follow the reason and a failure takes it back. No end is ever made up
(R5). After a failure what waited is told without any block's end: each delta names its block.

Towards the client everything is shown; see `blocks_encode`. What is only known when a part ends
(signatures, sealed artefacts) is written then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

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
from arno.canon.ext import Json, Loss
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import (
    Executor,
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
from arno.dialects.base import Pricer, Stamp
from arno.dialects.bounds import MAX_HELD, TOO_MUCH, Budget, weight
from arno.dialects.converse.artefacts import written_behind, written_sealed, written_signature
from arno.dialects.converse.blocks_encode import encode_part, wire_id
from arno.dialects.converse.citations import encode_citation
from arno.dialects.converse.failures import stream_failure
from arno.dialects.converse.media import media_start
from arno.dialects.converse.messages import EVENTS, HEARTBEAT, delta, event
from arno.dialects.converse.reasons import wire_reason
from arno.dialects.converse.residue import DIALECT, give, is_native
from arno.dialects.converse.usage import tier_of, told_usage
from arno.dialects.converse.writing import Writing
from arno.dialects.residue import Document

NO_REASON = Failure(
    FailureKind.INVALID_ANSWER,
    "upstream ended the answer without a finish reason",
    retryable=True,
    stage=Stage.MID_STREAM,
)

PIECES: dict[type, tuple[bytes, bytes]] = {
    TextPart: (b'{"text":', b"}}"),
    RefusalPart: (b'{"text":', b"}}"),
    ReasoningPart: (b'{"reasoningContent":{"text":', b"}}}"),
    ToolCallPart: (b'{"toolUse":{"input":', b"}}}"),
}
"""Kind of part to what stands around a piece of its text, behind the block's number."""

_WRITE = msgspec.json.Encoder().encode


class _Block:
    """One part on its way out.

    number: of its block, None until it begins; told: the end of its first piece, where that says
    more than the others do; spoken: something of it was written; held: what waits of it, in bytes.
    """

    __slots__ = (
        "ended",
        "held",
        "number",
        "part",
        "prefix",
        "signature",
        "spoken",
        "suffix",
        "told",
        "waiting",
    )

    def __init__(self, part: Part) -> None:
        self.part = part
        self.number: int | None = None
        self.prefix = self.suffix = self.told = b""
        self.spoken = False
        self.waiting: list[PartDelta] = []
        self.held = 0
        self.signature = part.signature
        self.ended = False


class ConverseStreamEncoder:
    """One client stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, stamp: Stamp, pricer: Pricer) -> None:
        self.failure: Failure | None = None
        self._stamp = stamp
        self._pricer = pricer
        self._writing = Writing(to_client=True)
        self._blocks: dict[int, _Block | None] = {}
        self._queue: deque[_Block] = deque()
        self._held = Budget(MAX_HELD)
        self._over = False
        self._next_block = 0
        self._begun = False
        self._reason: ChoiceEnd | None = None
        self._usage: UsageUpdate | None = None
        self._others: set[int] = set()

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What could not be carried so far."""
        return tuple(self._writing.losses)

    def feed(self, events: Sequence[Event]) -> bytes:
        """The messages that say `events`."""
        pieces: list[bytes] = []
        for one in events:
            encode = _ENCODERS.get(type(one))
            if encode is not None and not self._over:
                pieces.append(encode(self, one))
        return b"".join(pieces)

    def _start(self, start: ResponseStart) -> bytes:
        self._stamp = Stamp(
            id=self._stamp.id or start.id,
            model=self._stamp.model or start.model,
            provider=start.served_by or self._stamp.provider,
            created=start.created if start.created is not None else self._stamp.created,
            losses=self._stamp.losses,
        )
        return self._begin(give(start.ext))

    def _begin(self, kept: Document) -> bytes:
        self._begun = True
        return event("messageStart", {"role": "assistant", **kept, **head_of(self._stamp)})

    def _part_start(self, start: PartStart) -> bytes:
        part = start.part
        if start.choice != 0:
            self._drop_choice(start.choice)
            self._blocks[start.index] = None
            return b""
        path = f"/choices/0/parts/{start.index}"
        if not self._can_say(part, path):
            self._blocks[start.index] = None
            return b""
        block = self._blocks[start.index] = _Block(part)
        self._queue.append(block)
        return self._open(block, path) if self._queue[0] is block else self._wait(block, start)

    def _wait(self, block: _Block, event: PartStart | PartDelta) -> bytes:
        """Count an event that waits for its block's turn; the end, if that is too much."""
        size = weight(event)
        if not self._held.take(size):
            return self._error(StreamError(TOO_MUCH))
        block.held += size
        if isinstance(event, PartDelta):
            block.waiting.append(event)
        return b""

    def _drop_choice(self, choice: int) -> None:
        if choice not in self._others:
            self._others.add(choice)
            self._writing.drop(f"/choices/{choice}", "the wire gives one answer to a request")

    def _can_say(self, part: Part, path: str) -> bool:
        """False for a part that the wire has no block for, which is told as a loss."""
        if isinstance(part, OpaquePart) and part.dialect == DIALECT:
            return "reasoningContent" in part.document if isinstance(part.document, dict) else False
        foreign_tool = isinstance(part, ToolCallPart | ToolResultPart) and not is_native(part.ext)
        if foreign_tool and getattr(part, "executor", None) is Executor.PROVIDER:
            self._writing.drop(path, "a tool that another provider ran")
            return False
        if isinstance(part, MediaPart) and (media_start(part) is None or part.url or part.file_id):
            self._writing.drop(path, f"no block of a stream for {part.media_type or part.kind}")
            return False
        if isinstance(part, OpaquePart):
            self._writing.drop(path, f"a document of {part.dialect} goes back to it only")
            return False
        return True

    def _open(self, block: _Block, path: str = "") -> bytes:
        """Give a block its number and say what it begins with."""
        block.number = self._next_block
        self._next_block += 1
        part = block.part
        around = PIECES.get(type(part), (b"", b""))
        block.prefix = b'{"contentBlockIndex":%d,"delta":%b' % (block.number, around[0])
        block.suffix = around[1]
        if isinstance(part, ReasoningPart):
            block.told = around[1][:-1] + _told_of(part)
        said = self._opening(block, part, path)
        pieces = [said, *(self._piece(block, one) for one in block.waiting)]
        self._held.release(block.held)
        block.waiting.clear()
        return b"".join(pieces)

    def _opening(self, block: _Block, part: Part, path: str) -> bytes:
        """The start of a block that has one, and what the part held from its beginning."""
        start = self._start_of(part, path)
        said = b""
        if start is not None:
            block.spoken = True
            said = event("contentBlockStart", {"contentBlockIndex": block.number, "start": start})
        initial = _initial(part)
        if initial:
            said += self._text(block, initial)
        for annotation in part.annotations if isinstance(part, TextPart) else ():
            said += self._annotation(block, annotation)
        if isinstance(part, ToolResultPart):
            said += self._result(block, part)
        if isinstance(part, OpaquePart):
            said += self._delta(block, part.document)
        if isinstance(part, MediaPart) and part.data:
            said += self._delta(block, {"image": {"source": {"bytes": part.data}}})
        return said

    def _start_of(self, part: Part, path: str) -> Document | None:
        if isinstance(part, ToolCallPart):
            kept = {k: v for k, v in give(part.ext).items() if k != "input"}
            id_ = wire_id(part, path, self._writing)
            return {"toolUse": {**kept, "toolUseId": id_, "name": part.name}}
        if isinstance(part, ToolResultPart):
            status = {} if part.is_error is None else {"status": _status(part.is_error)}
            id_ = wire_id(part, path, self._writing)
            return {"toolResult": {**give(part.ext), "toolUseId": id_, **status}}
        return media_start(part) if isinstance(part, MediaPart) else None

    def _result(self, block: _Block, part: ToolResultPart) -> bytes:
        """What a result held from its beginning; the value of one is a document."""
        pieces: list[Json] = [] if part.value is None else [{"json": part.value}]
        for inner in part.parts:
            pieces += encode_part(inner, "", self._writing)
        return b"".join(self._delta(block, {"toolResult": [piece]}) for piece in pieces)

    def _delta(self, block: _Block, document: Document) -> bytes:
        block.spoken = True
        members = {"contentBlockIndex": block.number, "delta": document}
        return event("contentBlockDelta", members)

    def _text(self, block: _Block, piece: str) -> bytes:
        if not block.spoken:
            block.spoken = True
            return delta(block.prefix + _WRITE(piece) + (block.told or block.suffix))
        return delta(block.prefix + _WRITE(piece) + block.suffix)

    def _part_delta(self, one: PartDelta) -> bytes:
        block = self._blocks.get(one.index)
        if block is None:
            return b""
        if block.number is None:
            return self._wait(block, one)
        return self._piece(block, one)

    def _piece(self, block: _Block, one: PartDelta) -> bytes:
        slot = one.slot
        if slot is Slot.TEXT or slot is Slot.ARGUMENTS:
            return self._text(block, one.value)
        if slot is Slot.SIGNATURE:
            block.signature = one.value
        elif slot is Slot.SEALED:
            block.part = msgspec.structs.replace(block.part, sealed=one.value)
        elif slot is Slot.ANNOTATION:
            return self._annotation(block, one.value)
        elif slot is Slot.MEDIA:
            return self._media(block, one.value)
        return b""

    def _annotation(self, block: _Block, annotation: Json) -> bytes:
        citation = encode_citation(annotation)
        if citation is None:
            self._writing.drop("/choices/0/annotations", "an annotation of another dialect")
            return b""
        return self._delta(block, {"citation": citation})

    def _media(self, block: _Block, value: Json) -> bytes:
        if isinstance(block.part, ToolResultPart):
            blocks = encode_part(value, "", self._writing)
            return b"".join(self._delta(block, {"toolResult": [piece]}) for piece in blocks)
        return self._delta(block, {"image": {"source": {"bytes": value}}})

    def _part_end(self, end: PartEnd) -> bytes:
        block = self._blocks.get(end.index)
        if block is None:
            return b""
        block.ended = True
        if end.format is not None:
            block.part = msgspec.structs.replace(block.part, format=end.format)
        pieces: list[bytes] = []
        while self._queue and self._queue[0].ended:
            first = self._queue.popleft()
            pieces.append(self._close(first))
            if self._queue:
                pieces.append(self._open(self._queue[0]))
        return b"".join(pieces)

    def _close(self, block: _Block) -> bytes:
        """The end of a block, and the blocks with what stands behind it."""
        part, said = block.part, b""
        proof = block.signature
        if isinstance(part, ReasoningPart):
            if proof is not None:
                written = written_signature(proof, part.format)
                said = self._delta(block, {"reasoningContent": {"signature": written}})
            said += self._stop(block)
            sealed = part.sealed
            behind = None if sealed is None else written_sealed(sealed, part.form, part.format)
        else:
            said = self._stop(block)
            behind = None if proof is None else written_behind(part, proof, part.format)
        return said if behind is None else said + self._redacted(behind)

    def _stop(self, block: _Block) -> bytes:
        """The end of a block; of one in which nothing was said, nothing."""
        if not block.spoken:
            self._next_block -= 1
            return b""
        return event("contentBlockStop", {"contentBlockIndex": block.number})

    def _redacted(self, redacted: str) -> bytes:
        """A block with an artefact."""
        block = _Block(ReasoningPart())
        block.number = self._next_block
        self._next_block += 1
        content = self._delta(block, {"reasoningContent": {"redactedContent": redacted}})
        return content + self._stop(block)

    def _choice_end(self, end: ChoiceEnd) -> bytes:
        if end.choice != 0:
            self._drop_choice(end.choice)
        elif self._reason is None:
            self._reason = end
        return b""

    def _keep_usage(self, update: UsageUpdate) -> bytes:
        self._usage = update
        return b""

    def _response_end(self, end: ResponseEnd) -> bytes:
        if self._reason is None:
            return self._error(StreamError(NO_REASON))
        reason = self._reason
        word = wire_reason(reason.reason, reason.native_reason)
        stop = event("messageStop", {"stopReason": word, **give(reason.ext)})
        usage = None if self._usage is None else self._usage.usage
        losses = (*self._stamp.losses, *self._writing.losses)
        told = told_usage(usage, losses, self._pricer, self._stamp.provider)
        metadata: Document = give(end.ext)
        if told is not None:
            metadata = {"usage": told, **metadata}
        if usage is not None and usage.tier and tier_of(metadata.get("serviceTier")) != usage.tier:
            metadata["serviceTier"] = {"type": usage.tier}
        return stop + event("metadata", metadata) if metadata else stop

    def _error(self, error: StreamError) -> bytes:
        """What waited, then the failure; a reason that was held is never said."""
        self.failure = error.failure
        self._over = True
        waiting = b"".join(self._open(block) for block in self._queue if block.number is None)
        return waiting + stream_failure(error.failure, self._stamp)

    def _opaque(self, one: Opaque) -> bytes:
        """An event of this dialect that nothing else understands."""
        if one.dialect != DIALECT or not isinstance(one.document, dict) or not self._begun:
            return b""
        return b"".join(event(k, v) for k, v in one.document.items() if k in EVENTS)


def head_of(stamp: Stamp) -> Document:
    """The extension members that say who answers, as far as they are known."""
    members = {
        "id": stamp.id,
        "model": stamp.model,
        "provider": stamp.provider,
        "created": stamp.created,
    }
    return {key: value for key, value in members.items() if value is not None}


def _told_of(part: ReasoningPart) -> bytes:
    """Extension members of the deltas of a summary, or of reasoning with a format but no proof."""
    members: dict[str, str] = {}
    if part.form is ReasoningForm.SUMMARY:
        members["form"] = part.form.value
    if part.format is not None and not is_native(part.ext):
        members["format"] = part.format
    return b"," + _WRITE(members)[1:] if members else b"}"


def _initial(part: Part) -> str:
    """Text that a part held from its beginning."""
    if isinstance(part, TextPart | RefusalPart | ReasoningPart):
        return part.text
    return part.arguments if isinstance(part, ToolCallPart) else ""


def _status(is_error: bool) -> str:
    return "error" if is_error else "success"


_ENCODERS: dict[type, Callable[[ConverseStreamEncoder, Any], bytes]] = {
    ResponseStart: ConverseStreamEncoder._start,
    PartStart: ConverseStreamEncoder._part_start,
    PartDelta: ConverseStreamEncoder._part_delta,
    PartEnd: ConverseStreamEncoder._part_end,
    ChoiceEnd: ConverseStreamEncoder._choice_end,
    UsageUpdate: ConverseStreamEncoder._keep_usage,
    ResponseEnd: ConverseStreamEncoder._response_end,
    StreamError: ConverseStreamEncoder._error,
    KeepAlive: lambda encoder, one: HEARTBEAT,
    Opaque: ConverseStreamEncoder._opaque,
}
"""Event to what says it; a table of functions, since bound methods would keep every encoder in
a cycle."""
