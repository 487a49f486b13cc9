"""Streams of the messages dialect: events to the wire's grammar (R6).

One `message_start`, at most one open block, a stop for each, one `message_delta` with reason and
usage, `message_stop`. Other dialects keep several parts open at once, so:

- a piece of text or reasoning closes an open block of text or reasoning and goes on in its own;
- an open call keeps the wire until it ends, and what comes for other parts waits, part by part;
- sealed reasoning is said when its block is closed, since the wire has it in one piece.

What waits is bounded (`bounds`): beyond that the stream ends as a failure.

`message_start` waits for the first thing to say, `message_delta` for the end, when usage is known.
No finish is ever made up (R5): an answer that ends without a reason ends as a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
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
    StreamError,
    UsageUpdate,
)
from arno.canon.ext import Loss
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.usage import Usage
from arno.dialects.base import Pricer, Stamp
from arno.dialects.bounds import MAX_HELD, TOO_MUCH, Budget, weight
from arno.dialects.disclosure import MEMBER, disclosed
from arno.dialects.messages.answer import has_calls, head
from arno.dialects.messages.failures import error_frame
from arno.dialects.messages.frames import PING, STOP, document_frame, frame, is_name
from arno.dialects.messages.reasons import wire_reason
from arno.dialects.messages.residue import DIALECT, give, is_native
from arno.dialects.messages.stream_blocks import Block, start_block
from arno.dialects.messages.usage import UNKNOWN, encode_usage
from arno.dialects.residue import Document

NO_REASON = Failure(
    FailureKind.INVALID_ANSWER,
    "upstream ended the answer without a finish reason",
    retryable=True,
    stage=Stage.MID_STREAM,
)

_PartEvent = PartStart | PartDelta | PartEnd


class MessagesStreamEncoder:
    """One client stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, stamp: Stamp, pricer: Pricer) -> None:
        self.failure: Failure | None = None
        self._stamp = stamp
        self._pricer = pricer
        self._start = ResponseStart()
        self._usage: Usage | None = None
        self._end: ChoiceEnd | None = None
        self._began = self._over = False
        self._guessed = False
        self._held = Budget(MAX_HELD)
        self._next_block = 0
        self._blocks: dict[int, Block] = {}
        self._current: Block | None = None
        self._waiting: dict[int, list[_PartEvent]] = {}
        self._left_out: set[int] = set()
        self._losses: dict[Loss, None] = {}

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What could not be carried so far."""
        return tuple(self._losses)

    def feed(self, events: Sequence[Event]) -> bytes:
        """The frames that say `events`."""
        if len(events) == 1 and type(events[0]) is PartDelta:
            current = self._current
            if current is not None and current.index == events[0].index:
                quick = current.quick(events[0])
                if quick is not None:
                    return quick
        said = [_ENCODERS[type(event)](self, event) for event in events if not self._over]
        return b"".join(said)

    def _response_start(self, event: ResponseStart) -> bytes:
        self._start = event
        self._stamp = msgspec.structs.replace(
            self._stamp, provider=event.served_by or self._stamp.provider
        )
        return b""

    def _begin(self) -> bytes:
        """The start of the message, once."""
        if self._began:
            return b""
        self._began = True
        start, stamp = self._start, self._stamp
        usage = encode_usage(self._usage)
        self._guessed = UNKNOWN in usage
        message: Document = {
            **head(stamp.id or start.id, stamp.model or start.model, stamp.provider),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            **give(start.ext),
            "usage": {k: v for k, v in usage.items() if k != "cost"},
        }
        return frame("message_start", message=message)

    def _keep_usage(self, event: UsageUpdate) -> bytes:
        self._usage = event.usage
        return b""

    def _part(self, event: _PartEvent) -> bytes:
        """What an event of a part says now; b"" if it must wait."""
        index = event.index
        if index in self._left_out:
            return b""
        current = self._current
        if current is not None and current.index == index:
            return self._say(event)
        if current is not None and current.keeps_the_wire:
            return self._wait(event)
        return self._say(event)

    def _wait(self, event: _PartEvent) -> bytes:
        """Keep what cannot be said while a call is open; the end, if that is too much."""
        if not self._held.take(weight(event)):
            return self._error(StreamError(TOO_MUCH))
        self._waiting.setdefault(event.index, []).append(event)
        return b""

    def _say(self, event: _PartEvent) -> bytes:
        if isinstance(event, PartStart):
            return self._part_start(event)
        block = self._blocks[event.index]
        if isinstance(event, PartDelta):
            if self._lost(block.lose(event.slot)):
                return b""
            return self._go_on(block) + block.delta(event)
        return self._part_end(block, event)

    def _part_start(self, event: PartStart) -> bytes:
        if event.choice != 0:
            self._left_out.add(event.index)
            why = "a messages answer holds one choice"
            self._lost([Loss(f"/choices/{event.choice}", "dropped", why)])
            return b""
        block, losses = start_block(event.index, event.part)
        self._lost(losses)
        if block is None:
            self._left_out.add(event.index)
            return b""
        self._blocks[event.index] = block
        return self._go_on(block) if block.speaks_at_once else b""

    def _go_on(self, block: Block) -> bytes:
        """Make `block` the one that is open: begun, or begun again where it was closed."""
        if self._current is block:
            return b""
        before = self._begin() + self._close()
        self._current = block
        number, self._next_block = self._next_block, self._next_block + 1
        return before + block.open(number)

    def _close(self, format_: str | None = None) -> bytes:
        """Close what is open, with the block behind it that holds its signature."""
        block, self._current = self._current, None
        if block is None:
            return b""
        closed = block.close(format_)
        signature = block.signature_behind(format_)
        if signature is None:
            return closed
        number, self._next_block = self._next_block, self._next_block + 1
        start = frame("content_block_start", index=number, content_block=signature)
        return closed + start + frame("content_block_stop", index=number)

    def _part_end(self, block: Block, event: PartEnd) -> bytes:
        if self._current is not block:
            # A part that never spoke is said as the empty block it is.
            return b"" if block.spoke else self._go_on(block) + self._part_end(block, event)
        ended = self._close(event.format)
        return ended + self._say_waiting()

    def _say_waiting(self) -> bytes:
        """What had to wait for a call to end, part by part."""
        said: list[bytes] = []
        while self._waiting and not (self._current and self._current.keeps_the_wire):
            index = next(iter(self._waiting))
            for event in self._waiting.pop(index):
                self._held.release(weight(event))
                said.append(self._part(event))
        return b"".join(said)

    def _lost(self, losses: Sequence[Loss]) -> bool:
        self._losses.update(dict.fromkeys(losses))
        return bool(losses)

    def _choice_end(self, event: ChoiceEnd) -> bytes:
        if event.choice == 0 and self._end is None:
            self._end = event
        return b""

    def _response_end(self, event: ResponseEnd) -> bytes:
        if self._end is None:
            return self._error(StreamError(NO_REASON))
        return self._begin() + self._close() + self._last(self._end) + _stop(event)

    def _last(self, end: ChoiceEnd) -> bytes:
        """The reason and the usage; what the upstream said beside them, as it said it."""
        rest = give(end.ext)
        outer = {key: rest.pop(key) for key in OUTER if key in rest}
        calls = has_calls([block.part for block in self._blocks.values()])
        reason = rest.pop("stop_reason", None) or wire_reason(
            end.reason, end.native_reason, has_calls=calls
        )
        delta = {"stop_reason": reason, "stop_sequence": None, **rest}
        return frame("message_delta", delta=delta, **outer, usage=self._told_usage())

    def _told_usage(self) -> Document:
        usage = self._usage
        document = encode_usage(usage)
        if usage is not None and usage.cost is None:
            cost = self._pricer(usage, self._stamp.provider)
            if cost is not None:
                document["cost"] = Decimal(cost)
        if self._guessed:
            # Readers add what is new here to what the start said.
            document.setdefault(UNKNOWN, [])
        losses = disclosed([*self._stamp.losses, *self._losses])
        return {**document, MEMBER: losses} if losses else document

    def _error(self, event: StreamError) -> bytes:
        """All that came is said, then the failure; a call that never ended has no stop."""
        self.failure = event.failure
        said = []
        if self._current is not None and not self._current.keeps_the_wire:
            said.append(self._close())
        while self._waiting:
            said.append(self._close())
            said.append(self._say_waiting())
        self._current, self._over = None, True
        return b"".join(said) + error_frame(event.failure, self._stamp)

    def _opaque(self, event: Opaque) -> bytes:
        if event.dialect != DIALECT:
            return b""
        document = event.document
        if not isinstance(document, dict) or not is_name(document.get("type")):
            return b""
        if "index" in document:
            if self._current is None:
                return b""
            document = {**document, "index": self._current.number}
        return self._begin() + document_frame(document)


OUTER = ("context_management",)
"""Members that stand beside the delta of a `message_delta`."""


def _stop(event: ResponseEnd) -> bytes:
    if not is_native(event.ext):
        return STOP
    return frame("message_stop", **give(event.ext))


_ENCODERS: dict[type, Callable[[MessagesStreamEncoder, Any], bytes]] = {
    ResponseStart: MessagesStreamEncoder._response_start,
    PartStart: MessagesStreamEncoder._part,
    PartDelta: MessagesStreamEncoder._part,
    PartEnd: MessagesStreamEncoder._part,
    ChoiceEnd: MessagesStreamEncoder._choice_end,
    UsageUpdate: MessagesStreamEncoder._keep_usage,
    ResponseEnd: MessagesStreamEncoder._response_end,
    StreamError: MessagesStreamEncoder._error,
    KeepAlive: lambda encoder, event: PING,
    Opaque: MessagesStreamEncoder._opaque,
}
"""Event to what says it; a table of functions, since bound methods would keep every encoder in
a cycle."""
