"""Documents of the same dialect, passed on with what a gateway must write into them.

The upstream's bytes stay as they are but for id, model, provider (only where it names none), cost
and losses in the usage object, and a stop reason that hides calls (R4). Thinking, signatures and
arguments are never touched. Frames without the event's name, which clients need, get one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.events import ChoiceEnd, ResponseEnd, ResponseStart, StreamError, UsageUpdate
from arno.canon.ext import Json
from arno.canon.response import FinishReason, Response
from arno.canon.usage import Usage
from arno.dialects.base import Batch, Glance, Pricer, Stamp
from arno.dialects.disclosure import MEMBER, disclosed
from arno.dialects.messages.failures import error_frame
from arno.dialects.messages.frames import STOP, document_frame, is_name
from arno.dialects.messages.reasons import CANONICAL, canonical_reason, wire_reason
from arno.dialects.messages.usage import decode_usage
from arno.dialects.residue import Document
from arno.wire import json
from arno.wire.errors import MalformedJSON
from arno.wire.frame import Frame
from arno.wire.sse import encode_sse

_MEMBERS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict[str, Raw])


def stamp_message(message: dict[str, Any], stamp: Stamp) -> None:
    """Write the stamp into a message."""
    if stamp.id is not None:
        message["id"] = stamp.id
    if stamp.model is not None:
        message["model"] = stamp.model
    if stamp.provider is not None and message.get("provider") in (None, "", b"null", b'""'):
        message["provider"] = stamp.provider


def stamp_usage(document: Json, usage: Usage | None, stamp: Stamp, cost: str | None) -> Json:
    """The usage object with the cost and the losses; itself where there is nothing to write."""
    members: Document = {}
    if usage is not None and usage.cost is None and cost is not None:
        members["cost"] = Decimal(cost)
    losses = disclosed(stamp.losses)
    if losses:
        members[MEMBER] = losses
    if not members:
        return document
    return {**(document if isinstance(document, dict) else {}), **members}


def restamp_response(body: bytes, response: Response, stamp: Stamp, pricer: Pricer) -> bytes:
    """A whole answer with the stamp; its content is the bytes that came."""
    choice = response.choices[0]
    return _restamped(
        body,
        stamp,
        pricer,
        usage=response.usage,
        served_by=response.served_by,
        reason=choice.reason,
        native=choice.native_reason,
    )


def restamp_glanced(glanced: Glance, stamp: Stamp, pricer: Pricer) -> bytes:
    """The same for an answer of which only the outside was read."""
    return _restamped(
        glanced.body,
        stamp,
        pricer,
        usage=glanced.usage,
        served_by=glanced.served_by,
        reason=glanced.reasons[0],
        native=glanced.native_reason,
    )


def _restamped(
    body: bytes,
    stamp: Stamp,
    pricer: Pricer,
    *,
    usage: Usage | None,
    served_by: str | None,
    reason: FinishReason | None,
    native: str | None,
) -> bytes:
    members: dict[str, Any] = _MEMBERS.decode(body)
    if served_by is not None:
        stamp = msgspec.structs.replace(stamp, provider=None)
    stamp_message(members, stamp)
    cost = None if usage is None else pricer(usage, served_by or stamp.provider)
    told = json.loads(bytes(members["usage"])) if "usage" in members else None
    stamped = stamp_usage(told, usage, stamp, cost)
    if stamped is not told:
        members["usage"] = stamped
    if reason is not None and native in CANONICAL and CANONICAL[native] is not reason:
        members["stop_reason"] = wire_reason(reason, native, has_calls=True)
    return json.dumps(members)


class MessagesRestamper:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, stamp: Stamp, pricer: Pricer) -> None:
        self._stamp = stamp
        self._pricer = pricer
        self._usage: Usage | None = None

    def feed(self, batch: Batch) -> bytes:
        """The frames that carry this batch on."""
        frame = batch.frame
        if batch.plain and frame is not None and frame.event:
            return frame.raw
        for event in batch.events:
            if isinstance(event, UsageUpdate):
                self._usage = event.usage
        last = batch.events[-1] if batch.events else None
        if isinstance(last, StreamError):
            return error_frame(last.failure, self._stamp)
        if frame is None:
            return STOP if isinstance(last, ResponseEnd) else b""
        document = self._restamped(batch)
        if document is not None:
            return document_frame(document)
        return _named(frame, batch) if frame.complete else b""

    def _restamped(self, batch: Batch) -> Document | None:
        """The document with what must be written into it, None if it goes on as it came."""
        document = batch.document
        if not isinstance(document, dict):
            return None
        for event in batch.events:
            if isinstance(event, ResponseStart):
                return self._start(document, event)
            if isinstance(event, ChoiceEnd):
                return self._end(document, event, regular=batch.regular)
        return None

    def _start(self, document: Document, event: ResponseStart) -> Document | None:
        before = document["message"]
        message = dict(before)
        if event.served_by is not None:
            self._stamp = msgspec.structs.replace(self._stamp, provider=event.served_by)
        stamp_message(message, self._stamp)
        return None if message == before else {**document, "message": message}

    def _end(self, document: Document, event: ChoiceEnd, *, regular: bool) -> Document | None:
        usage, stamp = self._usage, self._stamp
        cost = None if usage is None else self._pricer(usage, stamp.provider)
        told = document.get("usage")
        stamped = stamp_usage(told, usage, stamp, cost)
        if stamped is told and regular:
            return None
        changed = dict(document)
        if stamped is not told:
            changed["usage"] = stamped
        if not regular:
            reason = wire_reason(event.reason, event.native_reason, has_calls=True)
            changed["delta"] = {**document["delta"], "stop_reason": reason}
        return changed


def _named(frame: Frame, batch: Batch) -> bytes:
    """The frame as it came, with its event's name where the host left that out."""
    if frame.event or frame.data is None:
        return frame.raw
    document = batch.document
    type_ = document.get("type") if isinstance(document, dict) else None
    if batch.plain:
        type_ = "content_block_delta"
    return encode_sse(frame.data, str(type_)) if is_name(type_) else frame.raw


class _Block(msgspec.Struct, gc=False):
    type: str
    id: str | None = None
    name: str | None = None

    @property
    def is_readable(self) -> bool:
        """False for a call without an id or a name."""
        return self.type != "tool_use" or bool(self.id and self.name)


class _Answer(msgspec.Struct, gc=False):
    content: list[_Block]
    stop_reason: str
    type: str = "message"
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    usage: Raw = Raw()
    error: None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def glance(body: bytes) -> Glance | None:
    """What a gateway keeps of a plain whole answer, None for one that must be decoded."""
    if not json.is_plain(body):
        return None
    try:
        answer = _ANSWER.decode(body)
        usage = json.loads(bytes(answer.usage)) if bytes(answer.usage) else None
    except (msgspec.MsgspecError, MalformedJSON, RecursionError, UnicodeDecodeError):
        return None
    if answer.type != "message" or not all(block.is_readable for block in answer.content):
        return None
    calls = any(block.type == "tool_use" for block in answer.content)
    reason = canonical_reason(answer.stop_reason or None, has_calls=calls)
    if reason is None or answer.stop_reason not in CANONICAL:
        return None
    return Glance(
        body=body,
        id=answer.id or None,
        model=answer.model or None,
        served_by=answer.provider or None,
        usage=decode_usage(usage),
        reasons=(reason,),
        native_reason=answer.stop_reason,
        as_said=CANONICAL[answer.stop_reason] is reason,
    )
