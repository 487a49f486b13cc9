"""Streams of the chat dialect: frames to events.

Terminal evidence, by the cut rule: a finish reason for every choice that began, then the end of
the stream or `[DONE]`. `[DONE]` without a finish is an end only for hosts that never send one
(`finish_optional`). An error member ends the stream as a failure wherever it stands, even after
a finish. Everything else is a cut, and a cut is never a success (R5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from arno.canon.events import (
    ChoiceEnd,
    Event,
    PartDelta,
    ResponseEnd,
    ResponseStart,
    StreamError,
    UsageUpdate,
)
from arno.canon.ext import Json
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.response import FinishReason
from arno.dialects.base import Batch
from arno.dialects.chat import quick
from arno.dialects.chat.reasoning import FORMS
from arno.dialects.chat.reasons import WHOLE, canonical_reason
from arno.dialects.chat.residue import number_of
from arno.dialects.chat.stream_choice import TEXT, OpenChoice
from arno.dialects.chat.stream_deltas import Deltas
from arno.dialects.chat.tool_calls import FragmentError
from arno.dialects.chat.usage import decode_usage
from arno.dialects.failures import OPERATORS, decode_error
from arno.dialects.residue import integer, text
from arno.dialects.streams import Ended, is_comment, without_document
from arno.dialects.text import clean
from arno.wire import json
from arno.wire.errors import MalformedJSON
from arno.wire.frame import Frame

DONE = b"[DONE]"
REASONING = ("reasoning", "reasoning", None)
REASONING_CONTENT = ("reasoning", "reasoning_content", None)
"""Keys of reasoning that comes as a string without an id (see `stream_deltas`)."""


class ChatStreamDecoder:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, *, finish_optional: bool = False) -> None:
        self._finish_optional = finish_optional
        self._choices: dict[int, OpenChoice] = {}
        self._deltas = Deltas()
        self._started = False
        self._ended = False

    @property
    def _stage(self) -> Stage:
        return Stage.MID_STREAM if self._deltas.output else Stage.BEFORE_OUTPUT

    def feed(self, frame: Frame) -> Batch:
        """What one frame means; frames after the terminal event mean nothing."""
        if self._ended:
            return Batch(frame, None, ())
        data = frame.data
        if data is None or is_comment(data):
            return without_document(frame)
        if data.strip() == DONE:
            return Batch(frame, None, tuple(self._finish(done=True)))
        if self._started and not frame.event and (delta := self._quick(data)) is not None:
            return Batch(frame, None, (delta,), plain=True)
        try:
            document = json.loads(data)
        except MalformedJSON:
            return self._fail(frame, None, "an event is no JSON")
        if not isinstance(document, dict):
            return self._fail(frame, document, "an event is no JSON object")
        return self._document(frame, document)

    def _quick(self, data: bytes) -> PartDelta | None:
        """The piece in a chunk of the quick form that goes on with an open part, else None."""
        chunk = quick.read(data)
        if chunk is None:
            return None
        wire = chunk.choices[0]
        choice = self._choices.get(wire.index)
        if choice is None:
            return None
        delta = wire.delta
        text, thought, calls = delta.content, delta.reasoning, delta.tool_calls
        other = delta.reasoning_content
        if delta.reasoning_details:
            return None if text or calls else _detailed(choice, delta.reasoning_details)
        if text and not (thought or other or calls):
            return choice.more(TEXT, text)
        if calls and not (text or thought or other):
            return choice.go_on(calls[0]) if len(calls) == 1 else None
        if thought and not (text or other or calls):
            return choice.more(REASONING, thought)
        if other and not (text or thought or calls):
            return choice.more(REASONING_CONTENT, other)
        return None

    def close(self) -> Batch:
        """What the end of the body means."""
        return Batch(None, None, () if self._ended else tuple(self._finish(done=False)))

    def abort(self, failure: Failure) -> Batch:
        """The stream broke below the dialect."""
        if self._ended:
            return Batch(None, None, ())
        self._ended = True
        return Batch(None, None, (*self._release_all(), StreamError(failure)))

    def _fail(self, frame: Frame | None, document: Json, message: str) -> Batch:
        self._ended = True
        return Batch(frame, document, (*self._release_all(), StreamError(self._invalid(message))))

    def _invalid(self, message: str) -> Failure:
        return Failure(FailureKind.INVALID_ANSWER, message, retryable=True, stage=self._stage)

    def _document(self, frame: Frame, document: dict[str, Json]) -> Batch:
        self._deltas.regular = True
        error = document.get("error") or (document if frame.event == "error" else None)
        events: list[Event] = []
        failure: Failure | None = None
        try:
            for event in self._events(document, failing=bool(error)):
                events.append(event)
        except FragmentError as fault:
            failure = self._broken_call(fault)
        except Ended as end:
            failure = end.failure
        usage = decode_usage(document.get("usage") or _usage_of_choice(document))
        if usage is not None:
            events += self._start(document)
            events.append(UsageUpdate(usage))
        if error:
            failure = decode_error(error, self._stage)
        if failure is None:
            return Batch(frame, document, tuple(events), self._deltas.regular)
        self._ended = True
        events += self._release_all()
        events.append(StreamError(failure))
        readable = isinstance(error, Mapping) and _may_read(frame, document, failure)
        return Batch(frame, document, tuple(events), self._deltas.regular, readable)

    def _broken_call(self, fault: FragmentError) -> Failure:
        return self._invalid(f"the pieces of a tool call do not fit: {fault}")

    def _start(self, document: Mapping[str, Json]) -> Iterator[Event]:
        if self._started:
            return
        self._started = True
        yield ResponseStart(
            id=text(document.get("id")),
            model=text(document.get("model")),
            served_by=text(document.get("provider")),
            created=integer(document.get("created")),
        )

    def _events(self, document: Mapping[str, Json], *, failing: bool) -> Iterator[Event]:
        """What the choices say. Beside an error (`failing`) it still counts, but ends nothing."""
        choices = document.get("choices") or ()
        if not isinstance(choices, list | tuple):
            raise Ended(self._invalid("choices of an event is no array"))
        if choices:
            yield from self._start(document)
        for position, wire in enumerate(choices):
            if not isinstance(wire, dict):
                raise Ended(self._invalid(f"choice {position} of an event is no object"))
            number = number_of(wire, position)
            choice = self._choices.get(number)
            if choice is None:
                choice = self._choices[number] = OpenChoice(number)
            yield from self._deltas.read(choice, wire)
            if not failing:
                yield from self._choice_end(choice, wire)

    def _choice_end(self, choice: OpenChoice, wire: Mapping[str, Json]) -> Iterator[Event]:
        word, native = text(wire.get("finish_reason")), text(wire.get("native_finish_reason"))
        if word is None and native is None:
            return
        reason = canonical_reason(word, native, has_calls=choice.has_calls)
        if reason is None:
            return
        if reason is FinishReason.ERROR:
            message = f"upstream ended the answer with an error ({clean(native or word or '')})"
            raise Ended(Failure(FailureKind.SERVER, message, retryable=True, stage=self._stage))
        yield from self._deltas.end(choice, whole=reason in WHOLE)
        choice.reason = choice.reason or reason
        if reason.value != word:
            self._deltas.regular = False
        yield ChoiceEnd(choice.number, reason, native or word, choice.take_ext())

    def _release_all(self) -> list[Event]:
        """The same for a stream that fails: what was received is told."""
        return [
            event for choice in self._choices.values() for event in self._deltas.release(choice)
        ]

    def _finish(self, *, done: bool) -> Iterator[Event]:
        self._ended = True
        began = self._choices.values()
        finished = bool(self._choices) and all(choice.reason for choice in began)
        if not finished and not (done and self._finish_optional and self._choices):
            yield from self._release_all()
            yield StreamError(self._cut(done=done))
            return
        try:
            for choice in began:
                yield from self._late_end(choice)
        except FragmentError as fault:
            yield StreamError(self._broken_call(fault))
            return
        yield ResponseEnd()

    def _late_end(self, choice: OpenChoice) -> Iterator[Event]:
        """Parts that came after the finish, or a host that never says why it ends.

        Of such a host (`finish_optional`) the end mark says that the answer is whole.
        """
        yield from self._deltas.end(choice, whole=choice.reason is None or choice.reason in WHOLE)
        if choice.reason is None:
            reason = FinishReason.TOOL_CALLS if choice.has_calls else FinishReason.STOP
            yield ChoiceEnd(choice.number, reason, None)

    def _cut(self, *, done: bool) -> Failure:
        how = "said it was done" if done else "ended the stream"
        return Failure(
            FailureKind.TRUNCATED,
            f"upstream {how} without a finish reason",
            retryable=True,
            stage=self._stage,
        )


def _detailed(choice: OpenChoice, details: list[quick.Detail]) -> PartDelta | None:
    """More of the reasoning that one detail goes on with; strings beside it repeat its text."""
    detail = details[0]
    form, member = FORMS[detail.type]
    piece = detail.text if member == "text" else detail.summary
    other = detail.summary if member == "text" else detail.text
    if not piece or other is not None or len(details) != 1:
        return None
    return choice.more(("reasoning", (form, detail.index), None), piece)


def _usage_of_choice(document: Mapping[str, Json]) -> Json:
    """Usage that stands inside the last choice, where one host family tells it."""
    choices = document.get("choices")
    last = choices[-1] if isinstance(choices, list) and choices else None
    return last.get("usage") if isinstance(last, dict) else None


def _may_read(frame: Frame, document: Mapping[str, Json], failure: Failure) -> bool:
    """True for an error chunk that clients of this dialect read, and may read, as it is.

    They read neither a chunk without choices nor an `event: error` frame; what a host says of the
    operator's account is not for them.
    """
    return bool(document.get("choices")) and not frame.event and failure.kind not in OPERATORS
