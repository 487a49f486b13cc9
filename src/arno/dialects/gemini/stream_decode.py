"""Streams of the generateContent dialect: frames to events.

Terminal evidence, by the cut rule: a finish reason for every candidate that began, or the refusal
of the prompt, then the end of the stream; the wire has no end mark. An error document ends the
stream as a failure wherever it stands, also where it stands as plain JSON between the events, as
hosts send it. Everything else is a cut, and a cut is never a success (R5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from arno.canon.events import (
    ChoiceEnd,
    Event,
    Opaque,
    PartDelta,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamError,
    UsageUpdate,
)
from arno.canon.ext import Json
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.response import FinishReason
from arno.dialects.base import Batch
from arno.dialects.bounds import MAX_HELD, Budget
from arno.dialects.failures import OPERATORS, invalid
from arno.dialects.gemini import documents, quick
from arno.dialects.gemini.answer import (
    BLOCKED,
    FEEDBACK,
    UNREADABLE,
    block_reason,
    broken,
    created_of,
)
from arno.dialects.gemini.failures import decode_error
from arno.dialects.gemini.ids import AnswerIds
from arno.dialects.gemini.parts import is_unreadable_call
from arno.dialects.gemini.pieces import BadPieces
from arno.dialects.gemini.reasons import CUT, canonical_reason
from arno.dialects.gemini.residue import DIALECT, keep
from arno.dialects.gemini.stream_choice import Choice, Kept, Numbers
from arno.dialects.gemini.usage import decode_usage
from arno.dialects.residue import Document, integer, text
from arno.dialects.streams import Ended, is_comment, without_document
from arno.wire import json
from arno.wire.errors import MalformedJSON
from arno.wire.frame import Frame

KNOWN = frozenset(
    {"candidates", "usageMetadata", "modelVersion", "responseId", "createTime", FEEDBACK}
)
GOOD = "STOP"
"""The word for a good end."""
TOO_LONG = "what candidates say beside their content is too long"
MOST_CANDIDATES = 64
"""Candidates of one stream; the vendor's hosts give at most eight."""


class GeminiStreamDecoder:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self) -> None:
        self._choices: dict[int, Choice] = {}
        self._parts = Numbers()
        self._started = False
        self._ended = False
        self._blocked = False
        self._response_id: str | None = None
        self._usage: Document = {}
        self._unread: bytes = b""
        self._budget = Budget(MAX_HELD)
        self._kept = Kept(self._budget, len(KNOWN))

    @property
    def _stage(self) -> Stage:
        return Stage.MID_STREAM if self._parts.begun else Stage.BEFORE_OUTPUT

    def feed(self, frame: Frame) -> Batch:
        """What one frame means; frames after the terminal event mean nothing."""
        if self._ended:
            return Batch(frame, None, ())
        data = frame.data
        if data is None or is_comment(data):
            return self._without_document(frame)
        if self._started and not frame.event and (delta := self._quick(data)) is not None:
            return Batch(frame, None, (delta,), plain=True)
        try:
            document = documents.loads(data)
        except MalformedJSON:
            return self._fail(frame, None, "an event is no JSON")
        if not isinstance(document, dict):
            return self._fail(frame, document, "an event is no JSON object")
        return self._document(frame, document)

    def _without_document(self, frame: Frame) -> Batch:
        """A comment, or an error that stands there without the form of an event."""
        if frame.raw.lstrip()[:1] in (b"{", b"["):
            try:
                document = json.loads(frame.raw)
            except MalformedJSON:
                return Batch(frame, None, ())
            if isinstance(document, list) and len(document) == 1:
                document = document[0]
            if isinstance(document, dict) and document.get("error"):
                return self._document(frame, document)
        return without_document(frame)

    def _quick(self, data: bytes) -> PartDelta | None:
        """The piece in a chunk of the quick form that goes on with an open part, else None."""
        chunk = quick.read(data)
        if chunk is None:
            return None
        candidate = chunk.candidates[0]
        choice = self._choices.get(candidate.index)
        if choice is None:
            return None
        piece = candidate.content.parts[0]
        delta = choice.go_on(piece.text, thought=piece.thought)
        if delta is not None:
            self._unread = bytes(chunk.usage_metadata) or self._unread
        return delta

    def close(self) -> Batch:
        """What the end of the body means."""
        return Batch(None, None, () if self._ended else tuple(self._finish()))

    def abort(self, failure: Failure) -> Batch:
        """The stream broke below the dialect."""
        if self._ended:
            return Batch(None, None, ())
        self._ended = True
        return Batch(None, None, (*self._late_usage(), StreamError(failure)))

    def _fail(self, frame: Frame | None, document: Json, message: str) -> Batch:
        self._ended = True
        events = (*self._late_usage(), StreamError(invalid(message, self._stage)))
        return Batch(frame, document, events)

    def _document(self, frame: Frame, document: dict[str, Json]) -> Batch:
        error = document.get("error")
        events: list[Event] = []
        failure: Failure | None = None
        try:
            for event in self._events(document, failing=bool(error)):
                events.append(event)
        except Ended as end:
            failure = end.failure
        events += self._usage_of(document)
        if error:
            failure = decode_error(error, self._stage)
        if failure is None:
            return Batch(frame, document, tuple(events))
        self._ended = True
        events.append(StreamError(failure))
        readable = isinstance(error, Mapping) and _may_read(document, failure)
        return Batch(frame, document, tuple(events), readable_error=readable)

    def _start(self, document: Mapping[str, Json]) -> Iterator[Event]:
        if self._started:
            return
        self._started = True
        self._response_id = text(document.get("responseId"))
        yield ResponseStart(
            id=self._response_id,
            model=text(document.get("modelVersion")),
            created=created_of(document),
        )

    def _events(self, document: Mapping[str, Json], *, failing: bool) -> Iterator[Event]:
        """What the candidates say. Beside an error (`failing`) it counts, but ends nothing."""
        candidates = document.get("candidates") or ()
        if not isinstance(candidates, list | tuple):
            raise Ended(invalid("candidates of an event are no array", self._stage))
        if candidates or document.keys() & KNOWN:
            yield from self._start(document)
        elif document and not failing:
            yield Opaque(DIALECT, document)
        for name, value in document.items():
            if name not in KNOWN and name != "error":
                self._keep(name, value)
        for position, wire in enumerate(candidates):
            yield from self._candidate(wire, position, failing=failing)
        reason = block_reason(document)
        if reason is not None and not candidates and not failing:
            yield from self._block(reason, document)

    def _candidate(self, wire: Json, position: int, *, failing: bool) -> Iterator[Event]:
        if not isinstance(wire, dict):
            raise Ended(invalid(f"candidate {position} of an event is no object", self._stage))
        index = integer(wire.get("index"))
        number = position if index is None else index
        choice = self._choices.get(number)
        if choice is None:
            if len(self._choices) >= MOST_CANDIDATES:
                raise Ended(invalid("too many candidates", self._stage))
            ids = AnswerIds(self._response_id, number)
            choice = Choice(number, ids, self._parts, self._budget)
            self._choices[number] = choice
        content = wire.get("content")
        parts = content.get("parts") if isinstance(content, Mapping) else None
        yield from self._said(choice, parts if isinstance(parts, list) else [])
        yield from choice.cite(wire)
        if not choice.keep(wire):
            raise Ended(invalid(TOO_LONG, self._stage))
        word = text(wire.get("finishReason"))
        if word is not None and not failing:
            self._note_finish(choice, word)

    def _said(self, choice: Choice, parts: list[Json]) -> Iterator[Event]:
        try:
            for part in parts:
                for event in choice.feed(part):
                    if isinstance(event, PartStart) and is_unreadable_call(event.part):
                        raise Ended(invalid(UNREADABLE.format(choice.number), self._stage))
                    yield event
        except BadPieces as error:
            raise Ended(invalid(str(error), self._stage)) from error

    def _note_finish(self, choice: Choice, word: str) -> None:
        """Keep why a candidate ends. It is told at the end of the stream, where it is known what
        the candidate says: some hosts give every chunk the word for a good end.
        """
        if canonical_reason(word, has_calls=choice.called) is FinishReason.ERROR:
            raise Ended(broken(word, choice.residue.get("finishMessage"), self._stage))
        if choice.word is None or word != GOOD:
            choice.word = word

    def _keep(self, name: str, value: Json) -> None:
        if not self._kept.put(name, value):
            raise Ended(invalid(TOO_LONG, self._stage))

    def _choice_end(self, choice: Choice) -> Iterator[Event]:
        """What a candidate has open, and why it ends; of a refused prompt it does not say."""
        word = choice.word
        reason = None if word is None else canonical_reason(word, has_calls=choice.called)
        if choice.is_waiting and reason not in CUT:
            raise Ended(invalid(UNREADABLE.format(choice.number), self._stage))
        yield from choice.cut()
        yield from choice.close()
        if reason is not None:
            yield ChoiceEnd(choice.number, reason, word, keep(choice.residue))

    def _block(self, reason: str, document: Mapping[str, Json]) -> Iterator[Event]:
        """The prompt is refused: an empty choice that a filter ended (`answer`)."""
        self._blocked = True
        self._keep(FEEDBACK, document[FEEDBACK])
        ext = keep({BLOCKED: True, FEEDBACK: document[FEEDBACK]})
        yield ChoiceEnd(0, FinishReason.CONTENT_FILTER, reason, ext)

    def _usage_of(self, document: Mapping[str, Json]) -> Iterator[Event]:
        """The counts so far; a later object adds to an earlier one, which may say less."""
        wire = document.get("usageMetadata")
        if not isinstance(wire, Mapping):
            return
        self._unread = b""
        yield from self._update(wire)

    def _late_usage(self) -> Iterator[Event]:
        """The counts of quick chunks, which nobody has read yet."""
        unread, self._unread = self._unread, b""
        try:
            wire = json.loads(unread) if unread else None
        except MalformedJSON:
            return  # the quick way takes numbers that no counter has; they count nothing
        if isinstance(wire, Mapping):
            yield from self._update(wire)

    def _update(self, wire: Mapping[str, Json]) -> Iterator[Event]:
        self._usage.update(wire)
        usage = decode_usage(self._usage, final=self._is_finished)
        if usage is not None and self._started:
            yield UsageUpdate(usage)

    @property
    def _is_finished(self) -> bool:
        if self._blocked:
            return True
        began = self._choices.values()
        return bool(self._choices) and all(choice.word for choice in began)

    def _finish(self) -> Iterator[Event]:
        self._ended = True
        yield from self._late_usage()
        if not self._is_finished:
            yield StreamError(self._cut())
            return
        try:
            for choice in self._choices.values():
                yield from self._choice_end(choice)
        except Ended as end:
            yield StreamError(end.failure)
            return
        yield ResponseEnd(keep(self._kept.document))

    def _cut(self) -> Failure:
        return Failure(
            FailureKind.TRUNCATED,
            "upstream ended the stream without a finish reason",
            retryable=True,
            stage=self._stage,
        )


def _may_read(document: Mapping[str, Json], failure: Failure) -> bool:
    """True if the error document may go on to clients as it stands.

    What a host says of the operator's account is not for them.
    """
    return document.keys() == {"error"} and failure.kind not in OPERATORS
