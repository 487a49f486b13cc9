"""The machine of one upstream attempt: response bytes in, client bytes and events out.

It reads one of three bodies, chosen when the head has come:

    refused   a status of 400 or more: collected (bounded), then decoded as a failure
    stream    an event stream: framed, decoded, written frame by frame
    whole     anything else: collected (bounded), decoded at its end

After `ended` is True nothing that still arrives means anything. Exactly one terminal event is
given for every attempt, whatever the upstream does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec

from arno.canon.events import (
    TERMINAL,
    ChoiceEnd,
    Event,
    KeepAlive,
    PartDelta,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamError,
    UsageUpdate,
)
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.fold import REPLACED
from arno.canon.parts import Part, ReasoningPart, RefusalPart, TextPart
from arno.canon.response import FinishReason
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects.base import Batch, Dialect, Glance, Headers, StreamDecoder
from arno.exchange.masking import (
    MARK,
    mask_document,
    mask_failure,
    mask_frame,
    mask_headers,
    mask_raw,
    mask_spelled,
)
from arno.exchange.reframing import AsEvents
from arno.exchange.writers import Passing, Writer
from arno.wire.errors import WireError
from arno.wire.frame import Frame, Framer, Framing
from arno.wire.framing import FRAMERS, MEDIA_TYPES

MAX_REFUSAL = 65_536
MOST_ARTEFACTS = 256
"""Signatures and sealed reasoning of one answer whose origin is remembered."""
_ARTEFACT = re.compile(rb"signature|encrypted|redacted")
MAX_NAME = 256
"""Characters of an id, a model's or a host's name that are kept."""


class Limits(msgspec.Struct, frozen=True):
    """Bounds in bytes: one frame of a stream, one whole answer."""

    frame: int = 8 * 1024 * 1024
    whole: int = 64 * 1024 * 1024


DEFAULT_LIMITS = Limits()


class Step(msgspec.Struct, frozen=True, gc=False):
    """What one read of the upstream led to: bytes for the client, and their meaning.

    is_alive: it held more than signs of life (comments do not feed the idle deadline).
    """

    output: bytes
    events: tuple[Event, ...]
    is_alive: bool = False


NOTHING = Step(b"", ())


class Body(Enum):
    """How the body is read."""

    REFUSED = "refused"
    STREAM = "stream"
    WHOLE = "whole"


class Seen(msgspec.Struct):
    """What is known of the answer so far; the ledger's source. Unknown is None."""

    status: int | None = None
    upstream_id: str | None = None
    model: str | None = None
    served_by: str | None = None
    usage: Usage | None = None
    reason: FinishReason | None = None
    native_reason: str | None = None
    output: bool = False
    complete: bool = False
    failure: Failure | None = None
    artefacts: list[str] = msgspec.field(default_factory=list)


class Exchange:
    """One attempt. dialect: the upstream's; streamed: a stream was asked for; spare: makes the
    writer for a whole answer to that; framing: of the upstream's stream, None as the dialect has
    it; secret: what the upstream was sent as its key, kept out of what it says of a failure (may be
    set until the head has come, where a request is signed on its way);
    passing: the writer, where nobody asks for the events of a whole answer.

    Nothing here refers back to itself, so that an answer of any size is freed when it ends and
    not when the garbage collector comes by.
    """

    def __init__(
        self,
        dialect: Dialect,
        writer: Writer,
        *,
        streamed: bool,
        spare: Callable[[], Writer] | None = None,
        framing: Framing | None = None,
        finish_optional: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        secret: str | None = None,
        passing: Passing | None = None,
    ) -> None:
        self.seen = Seen()
        self._dialect = dialect
        self._writer = writer
        self._passing = passing
        self._spare = spare
        self._streamed = streamed
        self._limits = limits
        self.secret = secret
        self._headers: Headers = ()
        self._finish_optional = finish_optional
        self._framing = framing or dialect.framing
        self._made: tuple[Framer, StreamDecoder] | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._body = Body.WHOLE

    def _decoders(self) -> tuple[Framer, StreamDecoder]:
        """Of frames and of documents; a whole answer has neither."""
        if self._made is None:
            decoder = self._dialect.stream_decoder(finish_optional=self._finish_optional)
            framer = FRAMERS[self._framing](self._limits.frame)
            wrapped = self._framing is not self._dialect.framing
            self._made = (AsEvents(framer) if wrapped else framer), decoder
        return self._made

    @property
    def ended(self) -> bool:
        """True once the terminal event was given."""
        return self.seen.complete or self.seen.failure is not None

    def head(self, status: int, headers: Headers) -> Step:
        """The response head; ends the attempt for a redirect, which is never followed."""
        self.seen.status = status
        self._headers = headers
        if 300 <= status < 400 or status < 200:
            return self._fail(FailureKind.UNAVAILABLE, f"upstream answered {status}, a redirect")
        if status < 300 and _is_stream(headers, MEDIA_TYPES[self._framing]):
            self._body = Body.STREAM
            if not self._streamed:
                return self._fail(
                    FailureKind.INVALID_ANSWER, "upstream sent a stream that was not asked for"
                )
        elif status >= 400:
            self._body = Body.REFUSED
        return NOTHING

    def data(self, chunk: bytes) -> Step:
        """Body bytes."""
        seen = self.seen
        if seen.complete or seen.failure is not None:
            return NOTHING
        return self._stream(chunk) if self._body is Body.STREAM else self._collect(chunk)

    def end(self) -> Step:
        """The body ended as announced."""
        if self.ended:
            return NOTHING
        if self._body is Body.STREAM:
            return self._end_stream()
        return self._end_refused() if self._body is Body.REFUSED else self._end_whole()

    def broken(self, failure: Failure) -> Step:
        """The attempt ended below the dialect: no connection, a cut, a deadline."""
        if self.ended:
            return NOTHING
        batch = self._decoders()[1].abort(msgspec.structs.replace(failure, stage=self._stage))
        return self._step((batch,))

    def _fail(self, kind: FailureKind, message: str) -> Step:
        return self.broken(Failure(kind, message, status=self.seen.status, retryable=True))

    @property
    def _stage(self) -> Stage:
        """How far the attempt has come."""
        if self.seen.output:
            return Stage.MID_STREAM
        return Stage.BEFORE_HEAD if self.seen.status is None else Stage.BEFORE_OUTPUT

    def _stream(self, chunk: bytes) -> Step:
        framer, decoder = self._made or self._decoders()
        try:
            frames = framer.feed(chunk)
        except WireError as error:
            return self._fail(FailureKind.INVALID_ANSWER, str(error))
        return self._step(_batches(decoder, self._without_key(frames)))

    def _without_key(self, frames: list[Frame]) -> list[Frame]:
        """Frames as they may be read: before anything shortens what stands in them."""
        secret = self.secret
        return frames if secret is None else [mask_raw(frame, secret) for frame in frames]

    def _end_stream(self) -> Step:
        framer, decoder = self._decoders()
        try:
            frames = framer.close()
        except WireError as error:
            return self._fail(FailureKind.INVALID_ANSWER, str(error))
        batches = _batches(decoder, self._without_key(frames))
        if not any(map(_is_last, batches)):
            batches.append(decoder.close())
        return self._step(batches)

    def _step(self, batches: list[Batch] | tuple[Batch, ...]) -> Step:
        output: list[bytes] = []
        events: list[Event] = []
        alive = False
        for batch in batches:
            if self.secret is not None:
                batch = self._masked(batch)
            if batch.plain:
                alive = self.seen.output = True
            else:
                for event in batch.events:
                    alive = self._note(event) or alive
            events += batch.events
            output.append(self._writer.batch(batch))
        self._heed(self._writer)
        data = output[0] if len(output) == 1 else b"".join(output)
        return Step(data, tuple(events), alive)

    def _heed(self, writer: Writer) -> None:
        """What the client was told is what happened: a stream that its writer ended has failed."""
        failure, seen = writer.failure, self.seen
        if failure is not None and seen.failure is None:
            seen.complete = False
            stage = Stage.MID_STREAM if seen.output else self._stage
            seen.failure = msgspec.structs.replace(failure, stage=stage)

    def _masked(self, batch: Batch) -> Batch:
        """A batch that ends in a failure, without the key in its frame, document and events."""
        last = batch.events[-1] if batch.events else None
        if not isinstance(last, StreamError):
            return batch
        secret = self.secret
        if secret is None:
            return batch
        frame, document = batch.frame, mask_document(batch.document, secret)
        if frame is not None:
            frame = mask_frame(frame, batch.document, document, secret)
        failure = mask_failure(last.failure, secret)
        return msgspec.structs.replace(
            batch,
            frame=frame,
            document=document,
            events=(*batch.events[:-1], StreamError(failure)),
        )

    def _name(self, name: str | None) -> str | None:
        """A name of the upstream's, for records and headers: bounded, and never our key."""
        if name is None:
            return None
        name = name[:MAX_NAME]
        return name if self.secret is None else name.replace(self.secret, MARK)

    def _note(self, event: Event) -> bool:
        """Keep what the ledger and the failover rule need; False for a mere sign of life."""
        note = _NOTES.get(type(event))
        if note is not None:
            note(self, event)
        return not isinstance(event, KeepAlive)

    def _note_part(self, event: PartStart) -> None:
        if not self.seen.output:
            self.seen.output = not _is_empty(event.part)
        self._keep_artefact(event.part.signature)
        if isinstance(event.part, ReasoningPart):
            self._keep_artefact(event.part.sealed)

    def _note_delta(self, event: PartDelta) -> None:
        self.seen.output = True
        if event.slot in REPLACED:
            self._keep_artefact(event.value)

    def _note_usage(self, event: UsageUpdate) -> None:
        self.seen.usage = event.usage

    def _note_choice(self, event: ChoiceEnd) -> None:
        seen = self.seen
        if seen.reason is None:
            seen.reason, seen.native_reason = event.reason, self._name(event.native_reason)

    def _note_start(self, event: ResponseStart) -> None:
        seen = self.seen
        seen.upstream_id, seen.model = self._name(event.id), self._name(event.model)
        seen.served_by = self._name(event.served_by)

    def _note_end(self, event: ResponseEnd) -> None:
        self.seen.complete = True

    def _note_error(self, event: StreamError) -> None:
        failure = event.failure
        if failure.stage is Stage.MID_STREAM and not self.seen.output:
            # Something had begun and said nothing: another one may still answer.
            failure = msgspec.structs.replace(failure, stage=self._stage)
        self.seen.failure = failure

    def _keep_artefact(self, artefact: str | None) -> None:
        """Its origin must be known when the client sends it back (R18)."""
        if artefact and len(self.seen.artefacts) < MOST_ARTEFACTS:
            self.seen.artefacts.append(artefact)

    def _collect(self, chunk: bytes) -> Step:
        self._size += len(chunk)
        refused = self._body is Body.REFUSED
        limit = MAX_REFUSAL if refused else self._limits.whole
        if self._size > limit:
            if refused:
                return self._end_refused()
            return self._fail(FailureKind.INVALID_ANSWER, f"answer larger than {limit} bytes")
        self._pieces.append(chunk)
        return NOTHING

    def _end_refused(self) -> Step:
        body, headers, secret = self._taken_body(), self._headers, self.secret
        if secret is not None:
            body, headers = mask_spelled(body, secret), mask_headers(headers, secret)
        failure = self._dialect.decode_failure(
            self.seen.status or 0, headers, body, Stage.BEFORE_OUTPUT
        )
        return self.broken(failure)

    def _taken_body(self) -> bytes:
        """What was collected."""
        body = b"".join(self._pieces)
        self._pieces.clear()
        return body

    def _end_whole(self) -> Step:
        body = self._taken_body()
        if self._passing is not None and not self._streamed and not _ARTEFACT.search(body):
            glanced = self._dialect.glance(body)
            if glanced is not None:
                return self._pass(glanced, self._passing)
        response = self._dialect.decode_response(body, self._headers)
        if isinstance(response, Failure) and self.secret is not None:
            headers = mask_headers(self._headers, self.secret)
            response = self._dialect.decode_response(mask_spelled(body, self.secret), headers)
        if isinstance(response, Failure):
            return self.broken(response)
        if self._streamed and any(choice.reason is None for choice in response.choices):
            # A stream must say why it ends, and nothing here knows.
            return self._fail(FailureKind.INVALID_ANSWER, "upstream did not say why it ended")
        events = tuple(unfold(response))
        for event in events:
            self._note(event)
        writer = self._spare() if self._streamed and self._spare else self._writer
        output = writer.whole(body, response)
        self._heed(writer)
        return Step(output, events, is_alive=True)

    def _pass(self, glanced: Glance, writer: Passing) -> Step:
        """A plain answer goes on as it came; no events are made of what nobody reads."""
        seen = self.seen
        seen.upstream_id, seen.model = self._name(glanced.id), self._name(glanced.model)
        seen.served_by = self._name(glanced.served_by)
        seen.usage, seen.reason = glanced.usage, next(iter(glanced.reasons), None)
        seen.native_reason = self._name(glanced.native_reason)
        seen.output = seen.complete = True
        return Step(writer.glanced(glanced), (), is_alive=True)


_NOTES: dict[type, Callable[[Exchange, Any], None]] = {
    PartStart: Exchange._note_part,
    PartDelta: Exchange._note_delta,
    UsageUpdate: Exchange._note_usage,
    ChoiceEnd: Exchange._note_choice,
    ResponseStart: Exchange._note_start,
    ResponseEnd: Exchange._note_end,
    StreamError: Exchange._note_error,
}
"""Event to what keeps it; a table of functions, since bound methods would keep every exchange in
a cycle."""


def _is_empty(part: Part) -> bool:
    """True for a part of which only the beginning is there: no output yet (architecture 4.5)."""
    if isinstance(part, TextPart | RefusalPart):
        return not part.text
    return isinstance(part, ReasoningPart) and not (part.text or part.sealed or part.signature)


def _is_stream(headers: Headers, media_type: str) -> bool:
    """True for an answer in frames; event streams are known by their type even if unasked for."""
    for name, value in headers:
        if name == "content-type":
            return value[: len(media_type)].lower() == media_type
    return False


def _batches(decoder: StreamDecoder, frames: list[Frame]) -> list[Batch]:
    """Batches up to and including the terminal one."""
    batches: list[Batch] = []
    for frame in frames:
        batch = decoder.feed(frame)
        batches.append(batch)
        if not batch.plain and _is_last(batch):
            break
    return batches


def _is_last(batch: Batch) -> bool:
    """True if the batch holds the terminal event."""
    return bool(batch.events) and isinstance(batch.events[-1], TERMINAL)
