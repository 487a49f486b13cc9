"""Streams of the generateContent dialect: events to chunks.

One chunk holds one piece. A part that must be told whole waits for its end, and for parts of its
kind that began before it. The finish of every candidate stands in the last chunk, with the usage.
No finish is ever made up (R5): an answer that ends without saying why ends as a failure. Source:
recorded chunks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
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
from arno.canon.ext import Json, Loss
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import ReasoningPart, TextPart, is_client_call
from arno.canon.usage import Usage
from arno.dialects.base import Pricer, Stamp
from arno.dialects.bounds import MAX_HELD, Budget, weight
from arno.dialects.gemini.answer import BLOCKED, FEEDBACK
from arno.dialects.gemini.chunks import HEARTBEAT, candidate, chunk, error_frames, tail_of
from arno.dialects.gemini.citations import (
    CITATIONS,
    GROUNDING,
    MOST_CITATIONS,
    MOST_CITED,
    Grounding,
)
from arno.dialects.gemini.reasons import CUT, wire_reason
from arno.dialects.gemini.residue import DIALECT, give, is_native, note
from arno.dialects.gemini.stream_parts import Text, Whole, is_hidden, is_text
from arno.dialects.gemini.usage import told_usage
from arno.dialects.residue import Document

TOO_MANY = f"at most {MOST_CITATIONS} citations are told"
EMPTY: Document = {"text": ""}
"""A piece that says nothing: chat histories of the SDK drop a turn with a chunk of no parts."""

NO_REASON = Failure(
    FailureKind.INVALID_ANSWER,
    "upstream ended the answer without a finish reason",
    retryable=True,
    stage=Stage.MID_STREAM,
)
TOO_MUCH = Failure(
    FailureKind.INVALID_ANSWER,
    "the calls or media of the answer are too long to be told whole",
    stage=Stage.MID_STREAM,
)


class _Choice:
    """What of one choice was told.

    before: the bytes of the text that an open text goes on with; runs: it may go on; thinks: a
    thought was told last, and nothing has closed it; waiting: parts that are told whole, in order.
    """

    __slots__ = ("before", "called", "finish", "grounding", "parts", "runs", "thinks", "waiting")

    def __init__(self) -> None:
        self.parts = 0
        self.called = False
        self.finish: ChoiceEnd | None = None
        self.grounding = Grounding()
        self.before = 0
        self.waiting: deque[int] = deque()
        self.runs = False
        self.thinks = False


class GeminiStreamEncoder:
    """One client stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, stamp: Stamp, pricer: Pricer) -> None:
        self.failure: Failure | None = None
        self._stamp = stamp
        self._pricer = pricer
        self._tail = tail_of(stamp)
        self._usage: Usage | None = None
        self._choices: dict[int, _Choice] = {}
        self._texts: dict[int, tuple[Text, int, str]] = {}
        self._citations: dict[int, list[Json]] = {}
        self._waiting: dict[int, Whole] = {}
        self._budget = Budget(MAX_HELD)
        self._feedback: Json = None
        self._ended = False
        self._losses: list[Loss] = []

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What could not be carried so far."""
        return tuple(self._losses)

    def feed(self, events: Sequence[Event]) -> bytes:
        """The frames that say `events`; nothing behind the end of the stream."""
        pieces: list[bytes] = []
        for event in events:
            encode = _ENCODERS.get(type(event))
            if encode is not None and not self._ended:
                pieces.append(encode(self, event))
        return b"".join(pieces)

    def _start(self, event: ResponseStart) -> bytes:
        stamp = self._stamp
        self._stamp = Stamp(
            id=stamp.id or event.id,
            model=stamp.model or event.model,
            provider=event.served_by or stamp.provider,
            created=event.created if event.created is not None else stamp.created,
            losses=stamp.losses,
        )
        self._tail = tail_of(self._stamp)
        self._feedback = give(event.ext).get(FEEDBACK)
        return b""

    def _chunk(self, choice: int, part: Document, **members: Json) -> bytes:
        told = {**candidate(choice, part), **members}
        return chunk({"candidates": [told], **self._tail})

    def _part_start(self, event: PartStart) -> bytes:
        part = event.part
        choice = self._choices.setdefault(event.choice, _Choice())
        path = f"/choices/{event.choice}/parts/{choice.parts}"
        choice.parts += 1
        if is_hidden(part):
            self._lose(path, "dropped", "a tool that another provider ran has no form here")
            return b""
        if not is_text(part):
            choice.runs = choice.thinks = False
            choice.called = choice.called or is_client_call(part)
            return self._begin_waiting(event, path, choice)
        plain = isinstance(part, TextPart) and part.signature is None
        if not (plain and choice.runs):
            choice.before = 0
        choice.runs = plain
        text = Text(part, event.choice, self._tail, apart=choice.thinks)
        choice.thinks = False
        self._texts[event.index] = (text, event.choice, path)
        if isinstance(part, TextPart) and part.annotations:
            self._citations[event.index] = list(part.annotations)
        return text.initial()

    def _begin_waiting(self, event: PartStart, path: str, choice: _Choice) -> bytes:
        """One frame of an upstream's is never too much for itself, but behind what waits it is."""
        whole = Whole(event, path)
        fits = self._hold(whole, event)
        if not fits and self._waiting:
            return self._fail(TOO_MUCH)
        self._waiting[event.index] = whole
        choice.waiting.append(event.index)
        return b""

    def _hold(self, whole: Whole, event: PartStart | PartDelta) -> bool:
        """True if there is room for more of a part."""
        amount = weight(event)
        fits = self._budget.take(amount)
        whole.size += amount if fits else 0
        return fits

    def _lose(self, path: str, action: str, why: str) -> None:
        loss = Loss(path, action, why)
        if loss not in self._losses:
            self._losses.append(loss)

    def _part_delta(self, event: PartDelta) -> bytes:
        open_ = self._texts.get(event.index)
        if open_ is None:
            return self._wait(event)
        text, _, path = open_
        if event.slot is Slot.TEXT:
            return text.piece(event.value)
        if event.slot is Slot.ANNOTATION:
            return self._keep_citation(event, path)
        if event.slot is Slot.LOGPROBS:
            self._lose(f"{path}/logprobs", "dropped", "the wire tells them in its own form only")
            return b""
        return text.artefact(event.slot, event.value)

    def _wait(self, event: PartDelta) -> bytes:
        whole = self._waiting.get(event.index)
        if whole is None:
            return b""
        if not self._hold(whole, event):
            return self._fail(TOO_MUCH)
        whole.feed(event)
        return b""

    def _keep_citation(self, event: PartDelta, path: str) -> bytes:
        cited = self._citations.setdefault(event.index, [])
        if len(cited) < MOST_CITATIONS:
            cited.append(event.value)
        else:
            self._lose(f"{path}/annotations", "dropped", TOO_MANY)
        return b""

    def _part_end(self, event: PartEnd) -> bytes:
        if event.index in self._texts:
            return self._text_end(event)
        whole = self._waiting.get(event.index)
        if whole is None:
            return b""
        whole.feed(event)
        return self._flush(whole.choice)

    def _text_end(self, event: PartEnd) -> bytes:
        text, number, path = self._texts.pop(event.index)
        choice = self._choices[number]
        out = text.close(event.format)
        choice.thinks = isinstance(text.part, ReasoningPart) and text.is_open
        annotations = self._citations.pop(event.index, None)
        if annotations:
            out += self._cite(text, number, annotations, path)
        if choice.runs and text.length > MOST_CITED:
            choice.before += text.length  # what goes on with it is not cited either
        elif choice.runs:
            choice.before += sum(len(said.encode(errors="replace")) for said in text.said)
        return out

    def _cite(self, text: Text, number: int, annotations: list[Json], path: str) -> bytes:
        """A chunk with the citations so far, while a reader still has the text open."""
        choice = self._choices[number]
        whole = "".join(text.said)
        if choice.before + text.length > MOST_CITED:
            self._lose(f"{path}/annotations", "dropped", "the text is too long to be cited")
            return b""
        for annotation in annotations:
            if choice.grounding.is_full:
                self._lose(f"{path}/annotations", "dropped", TOO_MANY)
            elif not choice.grounding.add(annotation, choice.before, whole):
                why = "only citations of an address have a place"
                self._lose(f"{path}/annotations", "dropped", why)
        grounding = choice.grounding.document
        return b"" if grounding is None else self._chunk(number, EMPTY, **{GROUNDING: grounding})

    def _flush(self, choice: int, *, all_: bool = False) -> bytes:
        """The parts that have ended, up to the first that has not (all_: beyond it as well)."""
        mine = self._choices[choice]
        cut = mine.finish is None or mine.finish.reason in CUT
        out: list[bytes] = []
        while mine.waiting:
            whole = self._waiting[mine.waiting[0]]
            ready = whole.ended and not (whole.is_bare and mine.finish is None)
            if not ready and not all_:
                break
            del self._waiting[mine.waiting.popleft()]
            self._budget.release(whole.size)
            document = whole.encode(self._losses, cut=cut) if whole.ended else None
            if document is not None:
                out.append(self._chunk(choice, document))
        return b"".join(out)

    def _choice_end(self, event: ChoiceEnd) -> bytes:
        choice = self._choices.setdefault(event.choice, _Choice())
        if choice.finish is None:
            choice.finish = event  # the first reason counts
        return self._flush(event.choice)

    def _keep_usage(self, event: UsageUpdate) -> bytes:
        self._usage = event.usage
        return b""

    def _response_end(self, event: ResponseEnd) -> bytes:
        """The last chunk: every finish, and the usage."""
        if any(choice.finish is None for choice in self._choices.values()):
            return self._fail(NO_REASON)
        self._ended = True
        document: Document = {}
        told = [
            self._finish_of(number, choice.finish)
            for number, choice in sorted(self._choices.items())
            if choice.finish is not None and not note(choice.finish.ext, BLOCKED[1:])
        ]
        if told:
            document["candidates"] = told
        else:
            document[FEEDBACK] = self._feedback_of(event)
        losses = (*self._stamp.losses, *self._losses)
        usage = told_usage(self._usage, losses, self._pricer, self._stamp.provider)
        if usage is not None:
            document["usageMetadata"] = usage
        return chunk({**document, **self._tail})

    def _finish_of(self, number: int, finish: ChoiceEnd) -> Document:
        choice = self._choices[number]
        kept = {k: v for k, v in give(finish.ext).items() if k not in ("content", "index")}
        word = finish.native_reason if is_native(finish.ext) else None
        if word is None:
            word = wire_reason(finish.reason, finish.native_reason, has_calls=choice.called)
        told = {**candidate(number, EMPTY), "finishReason": word, **kept}
        grounding = choice.grounding.document
        if grounding is not None and not kept.keys() & {GROUNDING, CITATIONS}:
            told[GROUNDING] = grounding
        return told

    def _feedback_of(self, event: ResponseEnd) -> Json:
        """What the refused prompt's answer says."""
        finishes = [choice.finish for choice in self._choices.values() if choice.finish is not None]
        places = [give(finish.ext) for finish in finishes] + [give(event.ext)]
        found = next((place[FEEDBACK] for place in places if FEEDBACK in place), self._feedback)
        words = [finish.native_reason for finish in finishes]
        return found or {"blockReason": next(iter(words), None) or "OTHER"}

    def _error(self, event: StreamError) -> bytes:
        return self._fail(event.failure)

    def _fail(self, failure: Failure) -> bytes:
        """The failure behind every part that is whole; a finish that waited is never said."""
        self.failure = failure
        self._ended = True
        said = b"".join(self._flush(number, all_=True) for number in self._choices)
        return said + error_frames(failure, self._stamp)

    def _opaque(self, event: Opaque) -> bytes:
        return chunk(event.document) if event.dialect == DIALECT else b""


_ENCODERS: dict[type, Callable[[GeminiStreamEncoder, Any], bytes]] = {
    ResponseStart: GeminiStreamEncoder._start,
    PartStart: GeminiStreamEncoder._part_start,
    PartDelta: GeminiStreamEncoder._part_delta,
    PartEnd: GeminiStreamEncoder._part_end,
    ChoiceEnd: GeminiStreamEncoder._choice_end,
    UsageUpdate: GeminiStreamEncoder._keep_usage,
    ResponseEnd: GeminiStreamEncoder._response_end,
    StreamError: GeminiStreamEncoder._error,
    KeepAlive: lambda encoder, event: HEARTBEAT,
    Opaque: GeminiStreamEncoder._opaque,
}
"""Event to what says it; a table of functions, since bound methods would keep every encoder in
a cycle."""
