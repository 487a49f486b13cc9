"""Streams of the chat dialect: frames to events.

Terminal evidence, by the cut rule: a finish reason for every choice that began, then the end of
the stream or `[DONE]`. `[DONE]` without a finish is an end only for hosts that never send one
(`finish_optional`). An error member ends the stream as a failure wherever it stands, even after
a finish. Everything else is a cut, and a cut is never a success (R5).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence

import msgspec

from arno.canon.events import (
    ChoiceEnd,
    Event,
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
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.canon.response import FinishReason
from arno.dialects.base import Batch
from arno.dialects.chat import quick
from arno.dialects.chat.citations import decode_citations
from arno.dialects.chat.content import decode_block
from arno.dialects.chat.reasoning import DETAILS, FORMS, decode_detail, is_readable, text_member
from arno.dialects.chat.reasons import WHOLE, canonical_reason
from arno.dialects.chat.residue import (
    DIALECT,
    integer,
    items,
    keep,
    number_of,
    residue_of,
    text,
)
from arno.dialects.chat.signatures import CONTENT, is_artefact, place_of
from arno.dialects.chat.stream_choice import AUDIO, LEGACY, REFUSAL, TEXT, OpenChoice
from arno.dialects.chat.tool_calls import (
    FragmentError,
    OpenCall,
    is_uniform,
    read_fragment,
)
from arno.dialects.chat.turn import LEGACY_CALL, decode_audio_answer, with_member
from arno.dialects.chat.usage import decode_usage
from arno.dialects.failures import OPERATORS, decode_error
from arno.dialects.streams import Ended, is_comment, without_document
from arno.dialects.text import clean
from arno.wire import json
from arno.wire.errors import MalformedJSON
from arno.wire.frame import Frame

DONE = b"[DONE]"
REASONING = ("reasoning", "reasoning", None)
REASONING_CONTENT = ("reasoning", "reasoning_content", None)
"""Keys of reasoning that comes as a string without an id (`_reasoning_piece`)."""
PLAIN = frozenset({"role", "content", "tool_calls", "reasoning", "reasoning_content", DETAILS})
"""Members of a delta that nearly all chunks hold and no others: the quick way past the rest."""


class ChatStreamDecoder:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, *, finish_optional: bool = False) -> None:
        self._finish_optional = finish_optional
        self._choices: dict[int, OpenChoice] = {}
        self._next_part = 0
        self._started = False
        self._ended = False
        self._output = False
        self._regular = True

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
        self._regular = True
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
            return Batch(frame, document, tuple(events), self._regular)
        self._ended = True
        events += self._release_all()
        events.append(StreamError(failure))
        readable = isinstance(error, Mapping) and _may_read(frame, document, failure)
        return Batch(frame, document, tuple(events), self._regular, readable)

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
            yield from self._choice(choice, wire)
            if not failing:
                yield from self._choice_end(choice, wire)

    def _choice(self, choice: OpenChoice, wire: Mapping[str, Json]) -> Iterator[Event]:
        delta = wire.get("delta")
        if isinstance(delta, dict):
            yield from self._reasoning(choice, delta)
            if delta.get("content"):
                yield from self._content(choice, delta["content"])
            if not delta.keys() <= PLAIN:
                yield from self._extras(choice, delta)
            for entry in items(delta.get("tool_calls")):
                yield from self._fragment(choice, entry)
        if wire.get("logprobs"):
            yield from self._logprobs(choice, wire["logprobs"])

    def _logprobs(self, choice: OpenChoice, document: Json) -> Iterator[Event]:
        index = choice.open.get(TEXT, choice.open.get(REFUSAL))
        if index is None:
            choice.note_logprobs(document)
        else:
            yield PartDelta(index, Slot.LOGPROBS, document)

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
        yield from self._end_parts(choice, whole=reason in WHOLE)
        choice.reason = choice.reason or reason
        if reason.value != word:
            self._regular = False
        yield ChoiceEnd(choice.number, reason, native or word, choice.take_ext())

    def _end_parts(self, choice: OpenChoice, *, whole: bool) -> Iterator[Event]:
        """Close what is open. A call whose id never came gets one from its position.

        A whole call without arguments has the arguments {}; one that was cut short may have lost
        them, so nothing is made up for it.
        """
        for call in choice.assembler.calls:
            if not call.announced:
                if call.name is None:
                    raise FragmentError("arguments without the name of a tool")
                call.id = call.id or f"call_{call.position}"
                self._regular = False
                yield from self._announce(choice, call)
            bare = call in choice.call_parts and not call.has_arguments
            if whole and bare and call.kind == "function":
                self._regular = False
                call.has_arguments = True
                yield PartDelta(choice.call_parts[call], Slot.ARGUMENTS, "{}")
        if whole and LEGACY in choice.open and not choice.legacy_has_arguments:
            yield PartDelta(choice.open[LEGACY], Slot.ARGUMENTS, "{}")
        yield from self._release(choice)
        rest = {choice.open.get(AUDIO): choice.audio} if choice.audio else {}
        for index in sorted(choice.open.values()):
            ext = keep(rest[index]) if index in rest else NO_EXT
            yield PartEnd(index, ext=ext, format=choice.formats.get(index))
        choice.open.clear()
        choice.call_parts.clear()

    def _release(self, choice: OpenChoice) -> Iterator[Event]:
        """Details that no call came for are reasoning of their own."""
        held, choice.held = choice.held, []
        for index, detail in held:
            choice.open[object()] = index
            yield PartStart(index, _emptied(detail), choice.number)
            yield PartDelta(index, Slot.SEALED, detail.sealed)

    def _release_all(self) -> list[Event]:
        """The same for a stream that fails: what was received is told."""
        return [event for choice in self._choices.values() for event in self._release(choice)]

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
        yield from self._end_parts(choice, whole=choice.reason is None or choice.reason in WHOLE)
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

    def _start_part(self, choice: OpenChoice, key: object, part: Part) -> PartStart:
        self._output = True
        index = self._next_part
        self._next_part += 1
        choice.open[key] = index
        return PartStart(index, part, choice.number)

    def _text(self, choice: OpenChoice, key: str, empty: Part, piece: str) -> Iterator[Event]:
        if key not in choice.open:
            yield self._start_part(choice, key, empty)
        yield PartDelta(choice.open[key], Slot.TEXT, piece)

    def _content(self, choice: OpenChoice, content: Json) -> Iterator[Event]:
        if isinstance(content, str):
            yield from self._text(choice, TEXT, TextPart(), content)
        elif isinstance(content, list):
            for block in content:
                yield from self._block(choice, decode_block(block))
        else:
            yield from self._whole(choice, OpaquePart(dialect=DIALECT, document=content))

    def _block(self, choice: OpenChoice, part: Part) -> Iterator[Event]:
        """A block of a content list: text and reasoning continue, anything else is whole."""
        if isinstance(part, TextPart):
            if part.text:
                yield from self._text(choice, TEXT, TextPart(), part.text)
            yield from self._cited(choice, part.annotations)
        elif isinstance(part, ReasoningPart):
            yield from self._reasoning_piece(choice, "content", part)
        else:
            yield from self._whole(choice, part)

    def _whole(self, choice: OpenChoice, part: Part) -> Iterator[Event]:
        yield self._start_part(choice, object(), part)

    def _cited(self, choice: OpenChoice, annotations: Sequence[Json]) -> Iterator[Event]:
        for annotation in annotations:
            if TEXT not in choice.open:
                yield self._start_part(choice, TEXT, TextPart())
            yield PartDelta(choice.open[TEXT], Slot.ANNOTATION, annotation)

    def _extras(self, choice: OpenChoice, delta: Mapping[str, Json]) -> Iterator[Event]:
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            yield from self._text(choice, REFUSAL, RefusalPart(), refusal)
        yield from self._cited(choice, decode_citations(items(delta.get("annotations"))))
        for image in items(delta.get("images")):
            part = with_member(decode_block(image), "images")
            choice.images.append(self._next_part if isinstance(part, MediaPart) else None)
            yield from self._whole(choice, part)
        if delta.get("audio"):
            yield from self._audio(choice, decode_audio_answer(delta["audio"]))
        if isinstance(delta.get(LEGACY_CALL), dict):
            yield from self._legacy(choice, delta[LEGACY_CALL])

    def _legacy(self, choice: OpenChoice, call: Mapping[str, Json]) -> Iterator[Event]:
        """The one call of a choice in the older words."""
        name, arguments = text(call.get("name")), text(call.get("arguments"))
        if name is not None and LEGACY not in choice.open:
            choice.has_legacy = True
            call_id = f"call_{len(choice.assembler.calls)}"
            ext = keep({"@member": LEGACY_CALL})
            yield self._start_part(
                choice, LEGACY, ToolCallPart(call_id=call_id, name=name, ext=ext)
            )
        if arguments is not None:
            if LEGACY not in choice.open:
                raise FragmentError("arguments without the name of a function")
            choice.legacy_has_arguments = True
            yield PartDelta(choice.open[LEGACY], Slot.ARGUMENTS, arguments)

    def _audio(self, choice: OpenChoice, part: Part) -> Iterator[Event]:
        if not isinstance(part, MediaPart):
            yield from self._whole(choice, part)
            return
        if AUDIO not in choice.open:
            if not (part.id or part.data or part.transcript):
                return
            empty = MediaPart(kind=part.kind, id=part.id, ext=part.ext)
            yield self._start_part(choice, AUDIO, empty)
        else:
            choice.audio.update(residue_of(part.ext))
        if part.data:
            yield PartDelta(choice.open[AUDIO], Slot.MEDIA, part.data)
        if part.transcript:
            yield PartDelta(choice.open[AUDIO], Slot.TRANSCRIPT, part.transcript)

    def _reasoning(self, choice: OpenChoice, delta: Mapping[str, Json]) -> Iterator[Event]:
        """The structured details win over the strings, which repeat the same text."""
        wire, member = delta.get(DETAILS), text_member(delta)
        if not wire and member is None:
            return
        details = [decode_detail(detail) for detail in items(wire)]
        for part in details:
            if not isinstance(part, ReasoningPart):
                yield from self._whole(choice, part)
            elif not is_artefact(part) or not (yield from self._artefact(choice, part)):
                key = (part.form, integer(residue_of(part.ext).get("index")))
                yield from self._reasoning_piece(choice, key, part)
        if member is not None and not is_readable(details):
            piece = ReasoningPart(text=delta[member], ext=keep({"@member": member}))
            yield from self._reasoning_piece(choice, member, piece)

    def _artefact(self, choice: OpenChoice, detail: ReasoningPart) -> Generator[Event, None, bool]:
        """Puts a detail where its id says it belongs; False if it is reasoning of its own."""
        detail_id = detail.id or ""
        place = place_of(detail_id)
        if place is not None and place[0] == CONTENT and TEXT not in choice.open:
            yield self._start_part(choice, TEXT, TextPart())
        index = choice.signed_by(detail_id)
        if index is None:
            if not choice.hold(detail, self._next_part):
                return False
            self._next_part += 1
            return True
        choice.formats[index] = detail.format
        yield PartDelta(index, Slot.SIGNATURE, detail.sealed)
        if index == choice.open.get(TEXT):
            # A signature ends the text it signs.
            del choice.open[TEXT]
            yield PartEnd(index, format=detail.format)
        return True

    def _reasoning_piece(
        self, choice: OpenChoice, key: object, part: ReasoningPart
    ) -> Iterator[Event]:
        """Pieces of one kind, index and id make one part."""
        if not (part.text or part.sealed or part.signature):
            return
        full_key = ("reasoning", key, part.id)
        if full_key not in choice.open:
            yield self._start_part(choice, full_key, _emptied(part))
        index = choice.open[full_key]
        pieces = ((Slot.TEXT, part.text), (Slot.SEALED, part.sealed))
        for slot, value in (*pieces, (Slot.SIGNATURE, part.signature)):
            if value:
                yield PartDelta(index, slot, value)

    def _fragment(self, choice: OpenChoice, entry: Json) -> Iterator[Event]:
        fragment = read_fragment(entry)
        if fragment.is_empty:
            self._regular = False
            return
        call = choice.assembler.attribute(fragment)
        before = call.announced
        if not is_uniform(fragment, call, announced_before=before):
            self._regular = False
        if not before:
            if call.id is None or call.name is None:
                return
            yield from self._announce(choice, call)
        elif fragment.arguments:
            if call not in choice.call_parts:
                raise FragmentError("arguments arrived after their call had ended")
            yield PartDelta(choice.call_parts[call], Slot.ARGUMENTS, fragment.arguments)

    def _announce(self, choice: OpenChoice, call: OpenCall) -> Iterator[Event]:
        """A call's start, with the arguments that had to wait for it."""
        part = ToolCallPart(
            call_id=call.id or "",
            name=call.name or "",
            kind=call.kind,
            wire_index=call.wire_index,
        )
        detail = choice.release(part.call_id)
        if detail is not None:
            part = msgspec.structs.replace(part, signature=detail.sealed, format=detail.format)
        start = self._start_part(choice, call, part)
        choice.call_parts[call] = start.index
        if detail is not None:
            choice.formats[start.index] = detail.format
        yield start
        waited = call.announce()
        if waited:
            yield PartDelta(start.index, Slot.ARGUMENTS, waited)


def _detailed(choice: OpenChoice, details: list[quick.Detail]) -> PartDelta | None:
    """More of the reasoning that one detail goes on with; strings beside it repeat its text."""
    detail = details[0]
    form, member = FORMS[detail.type]
    piece = detail.text if member == "text" else detail.summary
    other = detail.summary if member == "text" else detail.text
    if not piece or other is not None or len(details) != 1:
        return None
    return choice.more(("reasoning", (form, detail.index), None), piece)


def _emptied(part: ReasoningPart) -> ReasoningPart:
    """What is known of reasoning before its first piece."""
    return ReasoningPart(id=part.id, form=part.form, format=part.format, ext=part.ext)


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
