"""Documents of the same dialect, passed on with what a gateway must write into them.

The upstream's document stays as it is but for id, model, provider (only where it has none),
native_finish_reason, cost, and two things clients cannot read otherwise: tool calls that are not
in the uniform layout, and an end reason that hides tool calls (R3, R4). Unknown members stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from arno.canon.events import (
    ChoiceEnd,
    Event,
    KeepAlive,
    PartDelta,
    PartStart,
    ResponseEnd,
    Slot,
    StreamError,
    UsageUpdate,
)
from arno.canon.parts import ToolCallPart
from arno.canon.response import Response
from arno.dialects.base import Batch, Pricer, Stamp
from arno.dialects.chat.chunks import Ending, chunk, error_chunk, head_of
from arno.dialects.chat.quick import Splicer
from arno.dialects.chat.reasons import wire_reason
from arno.dialects.chat.residue import note, number_of
from arno.dialects.chat.turn import LEGACY_CALL
from arno.dialects.chat.turn_encode import encode_tool_call
from arno.dialects.chat.usage import tell_losses
from arno.dialects.residue import Document, text
from arno.wire import json
from arno.wire.sse import encode_comment


def stamp_document(document: Document, stamp: Stamp) -> None:
    """Write the stamp into `document`."""
    if stamp.id is not None:
        document["id"] = stamp.id
    if stamp.model is not None:
        document["model"] = stamp.model
    if stamp.provider is not None and not document.get("provider"):
        document["provider"] = stamp.provider


def restamp_response(body: bytes, response: Response, stamp: Stamp, pricer: Pricer) -> bytes:
    """A whole answer with the stamp, its tool calls and end reasons as the contract has them.

    response: what `body` decodes to, which is why the body is known to hold an answer.
    """
    document = msgspec.convert(json.loads(body), Document)
    stamp_document(document, stamp)
    _restamp_choices(document, response)
    if response.usage is not None:
        usage = document["usage"]
        if response.usage.cost is None:
            cost = pricer(response.usage, response.served_by or stamp.provider)
            if cost is not None:
                usage = {**usage, "cost": Decimal(cost)}
        document["usage"] = tell_losses(usage, stamp.losses)
    return json.dumps(document)


def _restamp_choices(document: Document, response: Response) -> None:
    for wire, choice in zip(document["choices"], response.choices, strict=True):
        calls = [part for part in choice.parts if isinstance(part, ToolCallPart)]
        legacy = any(map(is_legacy, calls))
        if choice.reason is not None:
            wire["finish_reason"] = wire_reason(choice.reason, legacy=legacy)
        wire.setdefault("native_finish_reason", choice.native_reason)
        calls = [call for call in calls if not is_legacy(call)]
        if calls and len(calls) == len(wire["message"]["tool_calls"]):
            wire["message"]["tool_calls"] = [encode_tool_call(call) for call in calls]


def is_legacy(call: ToolCallPart) -> bool:
    """True for a call in the older words, which goes on as it came."""
    return bool(note(call.ext, "member") == LEGACY_CALL)


HEAD = ("id", "object", "created", "model", "provider", "system_fingerprint", "service_tier")
"""Members that every chunk of one stream repeats."""


class ChatRestamper:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, stamp: Stamp, pricer: Pricer, *, include_usage: bool) -> None:
        self._stamp = stamp
        self._ending = Ending(pricer, include_usage=include_usage)
        self._calls: dict[int, tuple[int, int, str]] = {}
        self._counts: dict[int, int] = {}
        self._legacy: set[int] = set()
        self._last: Document = head_of(stamp)
        self._usage_chunk: Document | None = None
        self._served_by = stamp.provider
        self._splicer = Splicer(stamp)
        self._plain_data: bytes | None = None

    def feed(self, batch: Batch) -> bytes:
        """The frames that carry this batch on."""
        if batch.plain and batch.frame is not None and batch.frame.data is not None:
            return self._plain(batch.frame.data)
        for event in batch.events:
            if isinstance(event, UsageUpdate):
                self._ending.usage = event.usage
            elif isinstance(event, PartStart):
                self._number(event)
        last = batch.events[-1] if batch.events else None
        if isinstance(last, StreamError):
            return self._error(batch, last)
        out = b""
        if isinstance(batch.document, dict):
            out = self._document(batch, batch.document)
        elif isinstance(last, KeepAlive):
            out = encode_comment(last.note or "")
        return out + self._end(batch) if isinstance(last, ResponseEnd) else out

    def _plain(self, data: bytes) -> bytes:
        """A piece of an open part; what the chunks of a stream share is known from earlier ones."""
        spliced = self._splicer.splice(data)
        if spliced is None:
            document = self._read(data)
            document.pop("usage", None)
            spliced = chunk(document)
        else:
            self._served_by = self._splicer.served_by or self._served_by
        self._plain_data = data
        return self._ending.flush() + spliced

    def _read(self, data: bytes) -> Document:
        """The document of a plain batch, stamped."""
        document = msgspec.convert(json.loads(data), Document)
        self._served_by = text(document.get("provider")) or self._served_by
        stamp_document(document, self._stamp)
        return document

    def _number(self, event: PartStart) -> None:
        if not isinstance(event.part, ToolCallPart):
            return
        if is_legacy(event.part):
            self._legacy.add(event.choice)
            return
        position = self._counts.get(event.choice, 0)
        self._counts[event.choice] = position + 1
        self._calls[event.index] = (event.choice, position, event.part.kind)

    def _document(self, batch: Batch, document: Document) -> bytes:
        # Before it is stamped: a document that names nobody takes back no name.
        self._served_by = text(document.get("provider")) or self._served_by
        stamp_document(document, self._stamp)
        document.pop("usage", None)
        choices = document.get("choices")
        if not choices and self._ending.usage is not None and batch.events:
            # Usage alone is told at the end, and a finish that waits for it goes on waiting.
            self._usage_chunk = document
            return b""
        self._last, self._plain_data = document, None
        if not choices:
            return chunk(document)
        ends = [event for event in batch.events if isinstance(event, ChoiceEnd)]
        if not batch.regular:
            self._rewrite_calls(batch.events, choices)
        for end in ends:
            self._write_end(end, choices)
        if ends:
            return self._ending.finish(document)
        return self._ending.flush() + chunk(document)

    def _rewrite_calls(self, events: Sequence[Event], choices: list[Document]) -> None:
        """Tool calls of this document in the uniform layout, from what the decoder made of it."""
        entries = self._entries(events)
        for position, choice in enumerate(choices):
            delta = choice.get("delta")
            delta = delta if isinstance(delta, dict) else {}
            delta.pop("tool_calls", None)
            mine = entries.get(number_of(choice, position))
            if mine:
                choice["delta"] = {**delta, "tool_calls": mine}

    def _entries(self, events: Sequence[Event]) -> dict[int, list[Document]]:
        """What `events` say of tool calls, by choice."""
        entries: dict[int, list[Document]] = {}
        for event in events:
            if isinstance(event, PartStart) and isinstance(event.part, ToolCallPart):
                if is_legacy(event.part):
                    continue
                entry = self._entry(event.index, name=event.part.name, arguments="")
                entry["id"] = event.part.call_id
                entry["type"] = event.part.kind
            elif isinstance(event, PartDelta) and self._is_piece(event):
                entry = self._entry(event.index, arguments=event.value)
            else:
                continue
            entries.setdefault(self._calls[event.index][0], []).append(entry)
        return entries

    def _is_piece(self, event: PartDelta) -> bool:
        return event.slot is Slot.ARGUMENTS and event.index in self._calls

    def _entry(self, index: int, **body: str) -> Document:
        _, position, kind = self._calls[index]
        if kind == "custom":
            body["input"] = body.pop("arguments")
        return {"index": position, kind: body}

    def _end(self, batch: Batch) -> bytes:
        """The last frames: what the end of the stream itself says, what was held, the end mark."""
        late = self._late(batch)
        if self._plain_data is not None:
            self._last = self._read(self._plain_data)
        head = self._usage_chunk or {k: v for k, v in self._last.items() if k in HEAD}
        return late + self._ending.close(head, self._served_by, self._stamp.losses)

    def _write_end(self, end: ChoiceEnd, choices: list[Document]) -> None:
        legacy = end.choice in self._legacy
        for position, choice in enumerate(choices):
            if number_of(choice, position) == end.choice:
                choice["finish_reason"] = wire_reason(end.reason, legacy=legacy)
                choice.setdefault("native_finish_reason", end.native_reason)

    def _late(self, batch: Batch) -> bytes:
        """What no document of the upstream said, only its end: calls that never got an id, and
        the finish of a host that sends none (to a client, none would mean a cut).

        Such calls are said before a finish that still waits.
        """
        calls = self._entries(batch.events)
        ends = [event for event in batch.events if isinstance(event, ChoiceEnd)]
        choices: list[Document] = [
            {"index": number, "delta": {"tool_calls": calls[number]} if number in calls else {}}
            for number in sorted({*calls, *(end.choice for end in ends)})
        ]
        if not choices:
            return b""
        for end in ends:
            self._write_end(end, choices)
        document = {**head_of(self._stamp), "choices": choices}
        return self._ending.finish(document) if ends else chunk(document)

    def _error(self, batch: Batch, event: StreamError) -> bytes:
        """What a held chunk or this document had to say before the failure, without its finish."""
        said = b""
        held = self._ending.take()
        if held is not None and _without_finish(held):
            said = chunk(held)
        document = batch.document
        if isinstance(document, dict) and any(isinstance(e, PartDelta) for e in batch.events):
            said += self._last_words(batch, document)
        stamp = Stamp(
            id=self._stamp.id,
            model=self._stamp.model,
            provider=self._served_by,
            created=self._stamp.created,
        )
        return said + error_chunk(event.failure, stamp)

    def _last_words(self, batch: Batch, document: Document) -> bytes:
        """What the document that fails had to say: as much of it as could be understood."""
        if not isinstance(document.get("choices"), list):
            return b""
        stamp_document(document, self._stamp)
        for member in ("usage", "error"):
            document.pop(member, None)
        document["choices"] = [c for c in document["choices"] if isinstance(c, dict)]
        self._rewrite_calls(batch.events, document["choices"])
        return chunk(document) if _without_finish(document) else b""


def _without_finish(document: Document) -> bool:
    """Take the end reasons out of `document`; True if anything else is left to say."""
    left = False
    for choice in document["choices"]:
        choice["finish_reason"] = choice["native_finish_reason"] = None
        delta = choice.get("delta")
        if isinstance(delta, dict):
            left = left or any(value for key, value in delta.items() if key != "role")
    return left
