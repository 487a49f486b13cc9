"""Streams of the chat dialect: events to chunks, in the contract's uniform layout.

A tool call opens with index, id, type, name and empty arguments; later pieces carry the index and
arguments alone. No finish is ever made up (R5): an answer that ends without saying why, which a
whole answer may, cannot be told as a stream, since a client takes a missing finish for a cut; it
ends as a failure instead. Source: recorded chunks, contract section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arno.canon.events import (
    ChoiceEnd,
    Event,
    KeepAlive,
    Opaque,
    PartDelta,
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
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.dialects.base import Pricer, Stamp
from arno.dialects.chat.chunks import HEARTBEAT, Ending, chunk, error_chunk, head_of
from arno.dialects.chat.content import encode_media
from arno.dialects.chat.reasoning import FORMS, TEXT_MEMBERS, TYPES, encode_detail
from arno.dialects.chat.reasons import wire_reason
from arno.dialects.chat.residue import DIALECT, Document, is_native, note, residue_of

NO_REASON = Failure(
    FailureKind.INVALID_ANSWER,
    "upstream ended the answer without a finish reason",
    retryable=True,
    stage=Stage.MID_STREAM,
)


class ChatStreamEncoder:
    """One client stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, stamp: Stamp, pricer: Pricer, *, include_usage: bool) -> None:
        self._stamp = stamp
        self._head = head_of(stamp)
        self._ending = Ending(pricer, include_usage=include_usage)
        self._parts: dict[int, tuple[Part, int]] = {}
        self._calls: dict[int, int] = {}
        self._calls_of: dict[int, int] = {}
        self._details: dict[int, int] = {}
        self._told: set[int] = set()
        self._losses: list[Loss] = []

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What could not be carried so far."""
        return tuple(self._losses)

    def feed(self, events: Sequence[Event]) -> bytes:
        """The frames that say `events`; part ends need no word in this dialect."""
        pieces: list[bytes] = []
        for event in events:
            encode = _ENCODERS.get(type(event))
            if encode is not None:
                pieces.append(encode(self, event))
        return b"".join(pieces)

    def _start(self, event: ResponseStart) -> bytes:
        self._stamp = Stamp(
            id=self._stamp.id or event.id,
            model=self._stamp.model or event.model,
            provider=event.served_by or self._stamp.provider,
            created=event.created if event.created is not None else self._stamp.created,
        )
        self._head = head_of(self._stamp)
        return b""

    def _delta(self, choice: int, delta: Document, **members: Json) -> bytes:
        return self._ending.flush() + chunk(
            {
                **self._head,
                "choices": [
                    {
                        "index": choice,
                        "delta": {"content": "", "role": "assistant", **delta},
                        "finish_reason": None,
                        "native_finish_reason": None,
                        **members,
                    }
                ],
            }
        )

    def _part_start(self, event: PartStart) -> bytes:
        part = event.part
        self._parts[event.index] = (part, event.choice)
        if isinstance(part, ToolCallPart):
            return self._call_start(event.index, part, event.choice)
        if isinstance(part, ReasoningPart):
            self._details[event.index] = len(self._details)
            initial = part.text or part.sealed or part.signature
            return self._delta(event.choice, self._detail(event.index, part)) if initial else b""
        if isinstance(part, TextPart | RefusalPart):
            return self._text_start(part, event.choice)
        if isinstance(part, MediaPart):
            return self._delta(event.choice, _media(part))
        if isinstance(part, OpaquePart) and part.dialect == DIALECT:
            return self._delta(event.choice, _opaque_delta(part))
        return b""

    def _text_start(self, part: TextPart | RefusalPart, choice: int) -> bytes:
        if isinstance(part, RefusalPart):
            return self._delta(choice, {"refusal": part.text}) if part.text else b""
        if part.annotations:
            members = {"content": part.text, "annotations": list(part.annotations)}
            return self._delta(choice, members)
        return self._delta(choice, {"content": part.text}) if part.text else b""

    def _call_start(self, index: int, part: ToolCallPart, choice: int) -> bytes:
        position = self._calls_of.get(choice, 0)
        self._calls_of[choice] = position + 1
        self._calls[index] = position
        body = {"name": part.name, _argument_key(part): part.arguments}
        call = {"index": position, "id": part.call_id, "type": part.kind, part.kind: body}
        return self._delta(choice, {"content": None, "tool_calls": [call]})

    def _part_delta(self, event: PartDelta) -> bytes:
        part, choice = self._parts[event.index]
        if event.slot is Slot.LOGPROBS:
            return self._delta(choice, {}, logprobs=event.value)
        if event.slot is Slot.SIGNATURE and not isinstance(part, ReasoningPart):
            return b""  # the dialect has no place for it
        return self._delta(choice, self._delta_of(event, part))

    def _delta_of(self, event: PartDelta, part: Part) -> Document:
        if isinstance(part, ToolCallPart):
            body = {_argument_key(part): event.value}
            call = {"index": self._calls[event.index], part.kind: body}
            return {"content": None, "tool_calls": [call]}
        if isinstance(part, ReasoningPart):
            return self._reasoning(event, part)
        if event.slot is Slot.ANNOTATION:
            return {"content": "", "annotations": [event.value]}
        if isinstance(part, MediaPart):
            key = "data" if event.slot is Slot.MEDIA else "transcript"
            return {"content": None, "audio": {key: event.value}}
        return {"refusal" if isinstance(part, RefusalPart) else "content": event.value}

    def _reasoning(self, event: PartDelta, part: ReasoningPart) -> Document:
        field = {Slot.TEXT: "text", Slot.SEALED: "sealed"}.get(event.slot, "signature")
        piece = ReasoningPart(
            form=part.form, format=part.format, id=part.id, ext=part.ext, **{field: event.value}
        )
        return self._detail(event.index, piece)

    def _detail(self, index: int, piece: ReasoningPart) -> Document:
        """A piece of reasoning under the name it came with, or under both of the contract."""
        member = note(piece.ext, "member")
        if member in TEXT_MEMBERS:
            return {"content": "", member: piece.text}
        detail = encode_detail(piece, self._details[index])
        key = FORMS[TYPES[piece.form]][1]
        if not (piece.text or piece.sealed):
            detail.pop(key, None)
        if is_native(piece.ext):
            detail.setdefault("index", residue_of(piece.ext).get("index", 0))
        document: Document = {"content": "", "reasoning_details": [detail]}
        if piece.text:
            document["reasoning"] = piece.text
        return document

    def _choice_end(self, event: ChoiceEnd) -> bytes:
        if event.choice in self._told:
            return b""  # the first reason counts
        self._told.add(event.choice)
        choice = {
            "index": event.choice,
            "delta": {"content": "", "role": "assistant"},
            "finish_reason": wire_reason(event.reason),
            "native_finish_reason": event.native_reason,
        }
        return self._ending.finish({**self._head, "choices": [choice]})

    def _keep_usage(self, event: UsageUpdate) -> bytes:
        self._ending.usage = event.usage
        return b""

    def _response_end(self, event: ResponseEnd) -> bytes:
        began = {choice for _, choice in self._parts.values()}
        if began - self._told:
            return self._error(StreamError(NO_REASON))
        return self._ending.close(self._head, self._stamp.provider)

    def _error(self, event: StreamError) -> bytes:
        """A failure after a finish that waited: the finish is never said."""
        self._ending.take()
        return error_chunk(event.failure, self._stamp)

    def _opaque(self, event: Opaque) -> bytes:
        return chunk(event.document) if event.dialect == DIALECT else b""


def _argument_key(part: ToolCallPart) -> str:
    return "input" if part.kind == "custom" else "arguments"


def _media(part: MediaPart) -> Document:
    native = is_native(part.ext)
    audio = note(part.ext, "member") == "audio" or (not native and part.kind is MediaKind.AUDIO)
    if audio:
        members = {"id": part.id, "data": part.data, "transcript": part.transcript}
        return {"content": None, "audio": {k: v for k, v in members.items() if v is not None}}
    return {"content": "", "images": [encode_media(part)]}


def _opaque_delta(part: OpaquePart) -> Document:
    member = note(part.ext, "member")
    if member == "audio":
        return {"audio": part.document}
    return {member or "content": [part.document]}


_ENCODERS: dict[type, Callable[[ChatStreamEncoder, Any], bytes]] = {
    ResponseStart: ChatStreamEncoder._start,
    PartStart: ChatStreamEncoder._part_start,
    PartDelta: ChatStreamEncoder._part_delta,
    ChoiceEnd: ChatStreamEncoder._choice_end,
    UsageUpdate: ChatStreamEncoder._keep_usage,
    ResponseEnd: ChatStreamEncoder._response_end,
    StreamError: ChatStreamEncoder._error,
    KeepAlive: lambda encoder, event: HEARTBEAT,
    Opaque: ChatStreamEncoder._opaque,
}
"""Event to what says it; a table of functions, since bound methods would keep every encoder in
a cycle."""
