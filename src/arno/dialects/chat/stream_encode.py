"""Streams of the chat dialect: events to chunks, in the contract's uniform layout.

A tool call opens with index, id, type, name and empty arguments; later pieces carry the index and
arguments alone. No finish is ever made up (R5): an answer that ends without saying why, which a
whole answer may, cannot be told as a stream, since a client takes a missing finish for a cut; it
ends as a failure instead. What signs a text or a call is told when that part ends, an image when
it is whole. Source: recorded chunks, contract section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.dialects.base import Pricer, Stamp
from arno.dialects.chat import signatures
from arno.dialects.chat.chunks import HEARTBEAT, Ending, chunk, error_chunk, head_of
from arno.dialects.chat.citations import encode_citations
from arno.dialects.chat.content import encode_media
from arno.dialects.chat.lanes import Lane, Told
from arno.dialects.chat.reasoning import DETAILS, TEXT_MEMBERS, TYPES, encode_piece
from arno.dialects.chat.reasons import wire_reason
from arno.dialects.chat.residue import DIALECT, is_native, note, residue_of
from arno.dialects.chat.turn import LEGACY_CALL
from arno.dialects.chat.turn_encode import DISORDER, audio_members, known_call, rank_of, unfit
from arno.dialects.disclosure import foreign
from arno.dialects.residue import Document

NO_REASON = Failure(
    FailureKind.INVALID_ANSWER,
    "upstream ended the answer without a finish reason",
    retryable=True,
    stage=Stage.MID_STREAM,
)

_DELTA = b'"delta":{'
"""Where a delta begins in a frame; in what stands before it each quote is escaped."""

REPEATED = ("system_fingerprint", "service_tier")
"""Members of an answer that each of its chunks repeats."""


class _Choice(Told):
    """One choice. calls, images: how many began; rank: the furthest in the wire's order."""

    __slots__ = ("calls", "has_audio", "images", "is_legacy", "number", "rank")

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.calls = self.images = self.rank = 0
        self.has_audio = self.is_legacy = False


class _Open:
    """One part. place: its number among its like; media: pieces of an image that is not whole."""

    __slots__ = ("behind", "choice", "index", "is_told", "media", "part", "place", "signature")

    def __init__(self, index: int, part: Part, choice: _Choice) -> None:
        self.index = index
        self.part = part
        self.choice = choice
        self.behind = choice.chars
        self.place = 0
        self.signature = part.signature
        self.media: list[str] | None = None
        self.is_told = False

    @property
    def where(self) -> str:
        """Its place in the canonical value."""
        return f"/choices/{self.choice.number}/parts/{self.index}"


class ChatStreamEncoder:
    """One client stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, stamp: Stamp, pricer: Pricer, *, include_usage: bool) -> None:
        self.failure: Failure | None = None
        self._stamp = stamp
        self._head = head_of(stamp)
        self._ending = Ending(pricer, include_usage=include_usage)
        self._choices: dict[int, _Choice] = {}
        self._open: dict[int, _Open] = {}
        self._lanes: dict[int, Lane] = {}
        self._details = 0
        self._spoken: set[int] = set()
        self._ended: set[int] = set()
        self._losses: dict[Loss, None] = {}

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What could not be carried so far."""
        return tuple(self._losses)

    def feed(self, events: Sequence[Event]) -> bytes:
        """The frames that say `events`."""
        if len(events) == 1:
            event = events[0]
            encode = _ENCODERS.get(type(event))
            return b"" if encode is None else encode(self, event)
        pieces: list[bytes] = []
        for event in events:
            encode = _ENCODERS.get(type(event))
            if encode is not None:
                pieces.append(encode(self, event))
        return b"".join(pieces)

    def _lose(self, losses: Sequence[Loss]) -> None:
        self._losses.update(dict.fromkeys(losses))

    def _start(self, event: ResponseStart) -> bytes:
        stamp = self._stamp
        self._stamp = msgspec.structs.replace(
            stamp,
            id=stamp.id or event.id,
            model=stamp.model or event.model,
            provider=event.served_by or stamp.provider,
            created=event.created if event.created is not None else stamp.created,
        )
        kept = residue_of(event.ext)
        self._head = head_of(self._stamp) | {k: kept[k] for k in REPEATED if k in kept}
        return b""

    def _delta(self, choice: int, delta: Document, **members: Json) -> bytes:
        return self._ending.flush() + self._first(choice, self._frame(choice, delta, **members))

    def _first(self, choice: int, frame: bytes) -> bytes:
        """`frame`, with the role if it is the first of its choice: some readers join the words of
        a role as they join those of a text.
        """
        if choice in self._spoken:
            return frame
        self._spoken.add(choice)
        return frame.replace(_DELTA, _DELTA + b'"role":"assistant",', 1)

    def _frame(self, choice: int, delta: Document, **members: Json) -> bytes:
        return chunk(
            {
                **self._head,
                "choices": [
                    {
                        "index": choice,
                        "delta": {"content": "", **delta},
                        "finish_reason": None,
                        "native_finish_reason": None,
                        **members,
                    }
                ],
            }
        )

    def _lane(
        self, open_: _Open, slot: Slot, delta_of: Callable[[str], Document], *, twice: bool = False
    ) -> None:
        """From now on pieces of this slot are put into a frame that is made once."""
        number = open_.choice.number
        told = open_.choice if isinstance(open_.part, TextPart) else None
        self._lanes[open_.index] = Lane(
            slot,
            lambda mark: self._frame(number, delta_of(mark)),
            twice=twice,
            told=told,
            choice=number,
        )

    def _part_start(self, event: PartStart) -> bytes:
        choice = self._choices.get(event.choice)
        if choice is None:
            choice = self._choices[event.choice] = _Choice(event.choice)
        open_ = _Open(event.index, event.part, choice)
        lost = unfit(open_.part, open_.where, in_answer=True)
        if lost is not None:
            self._lose([lost])
            return b""
        self._lose(foreign(open_.part.ext, DIALECT, open_.where))
        self._in_order(open_)
        self._open[event.index] = open_
        begin = _BEGINNINGS.get(type(open_.part))
        return b"" if begin is None else begin(self, open_, open_.part)

    def _in_order(self, open_: _Open) -> None:
        rank = rank_of(open_.part)
        if rank < open_.choice.rank:
            self._lose([Loss(f"/choices/{open_.choice.number}", "approximated", DISORDER)])
        open_.choice.rank = max(rank, open_.choice.rank)

    def _text(self, open_: _Open, part: TextPart) -> bytes:
        self._lane(open_, Slot.TEXT, lambda mark: {"content": mark})
        citations = self._citations(open_, part.annotations)
        if not (part.text or citations):
            return b""
        open_.choice.chars += len(part.text)
        members = {"annotations": citations} if citations else {}
        return self._delta(open_.choice.number, {"content": part.text, **members})

    def _citations(self, open_: _Open, annotations: Sequence[Json]) -> list[Json]:
        documents, losses = encode_citations(annotations, open_.where, behind=open_.behind)
        self._lose(losses)
        return documents

    def _refusal(self, open_: _Open, part: RefusalPart) -> bytes:
        self._lane(open_, Slot.TEXT, lambda mark: {"refusal": mark})
        return self._delta(open_.choice.number, {"refusal": part.text}) if part.text else b""

    def _call(self, open_: _Open, part: ToolCallPart) -> bytes:
        choice = open_.choice
        if note(part.ext, "member") == LEGACY_CALL:
            choice.is_legacy = True
            self._lane(open_, Slot.ARGUMENTS, lambda mark: {LEGACY_CALL: {"arguments": mark}})
            body = {"name": part.name, "arguments": part.arguments}
            return self._delta(choice.number, {"content": None, LEGACY_CALL: body})
        part, losses = known_call(part, open_.where)
        self._lose(losses)
        open_.part = part
        open_.place, choice.calls = choice.calls, choice.calls + 1
        kind, key = part.kind, "input" if part.kind == "custom" else "arguments"
        place = open_.place

        def piece(mark: str) -> Document:
            return {"content": None, "tool_calls": [{"index": place, kind: {key: mark}}]}

        self._lane(open_, Slot.ARGUMENTS, piece)
        body = {"name": part.name, key: part.arguments}
        call = {"index": place, "id": part.call_id, "type": kind, kind: body}
        return self._delta(choice.number, {"content": None, "tool_calls": [call]})

    def _reasoning(self, open_: _Open, part: ReasoningPart) -> bytes:
        open_.place, self._details = self._details, self._details + 1
        plain = note(part.ext, "member") in (*TEXT_MEMBERS, "content")
        self._lane(
            open_,
            Slot.TEXT,
            lambda mark: encode_piece(part, Slot.TEXT, mark, open_.place),
            twice=not plain and TYPES[part.form] != TYPES[ReasoningForm.SEALED],
        )
        values = ((Slot.TEXT, part.text), (Slot.SEALED, part.sealed))
        return b"".join(
            self._delta(open_.choice.number, encode_piece(part, slot, value, open_.place))
            for slot, value in (*values, (Slot.SIGNATURE, part.signature))
            if value
        )

    def _media(self, open_: _Open, part: MediaPart) -> bytes:
        native, choice = is_native(part.ext), open_.choice
        if note(part.ext, "member") == "audio" or (not native and part.kind is MediaKind.AUDIO):
            if choice.has_audio:
                why = "a chat message of the model holds one audio part"
                self._lose([Loss(open_.where, "dropped", why)])
                del self._open[open_.index]
                return b""
            choice.has_audio = True
            return self._delta(choice.number, {"content": None, "audio": audio_members(part)})
        open_.place, choice.images = choice.images, choice.images + 1
        open_.media = []
        return b"" if part.data is None and part.url is None else self._image(open_)

    def _image(self, open_: _Open) -> bytes:
        """An image, once it is whole."""
        part, pieces, open_.media = open_.part, open_.media, None
        if not isinstance(part, MediaPart):
            return b""
        if pieces:
            part = msgspec.structs.replace(part, data=(part.data or "") + "".join(pieces))
        block, losses = encode_media(part, open_.where)
        self._lose(losses)
        return self._delta(open_.choice.number, {"content": "", "images": [block]})

    def _opaque_part(self, open_: _Open, part: OpaquePart) -> bytes:
        member = note(part.ext, "member")
        value = part.document if member == "audio" else [part.document]
        return self._delta(open_.choice.number, {member or "content": value})

    def _part_delta(self, event: PartDelta) -> bytes:
        lane = self._lanes.get(event.index)
        if lane is not None and lane.slot is event.slot:
            frame = lane.frame(event.value)
            if self._ending.waits:
                return self._ending.flush() + frame
            number = lane.choice
            return frame if number in self._spoken else self._first(number, frame)
        open_ = self._open.get(event.index)
        return b"" if open_ is None else self._other_delta(open_, event.slot, event.value)

    def _other_delta(self, open_: _Open, slot: Slot, value: Json) -> bytes:
        number = open_.choice.number
        is_late = slot is Slot.SIGNATURE and open_.part.format is None
        if isinstance(open_.part, ReasoningPart) and not is_late:
            return self._delta(number, encode_piece(open_.part, slot, value, open_.place))
        if slot is Slot.SIGNATURE:
            open_.signature = value
            return b""
        if slot is Slot.LOGPROBS:
            return self._logprobs(open_, value)
        if slot is Slot.ANNOTATION:
            documents = self._citations(open_, [value])
            return self._delta(number, {"annotations": documents}) if documents else b""
        if open_.media is not None:
            open_.media += [value] if slot is Slot.MEDIA else []
            return b""
        key = "data" if slot is Slot.MEDIA else "transcript"
        return self._delta(number, {"content": None, "audio": {key: value}})

    def _logprobs(self, open_: _Open, value: Json) -> bytes:
        """As this wire has them; a list is those of the text."""
        if isinstance(value, list):
            value = {"content": value, "refusal": None}
        if not isinstance(value, Mapping):
            why = "log probabilities in a form that chat chunks have not"
            self._lose([Loss(f"{open_.where}/logprobs", "dropped", why)])
            return b""
        return self._delta(open_.choice.number, {}, logprobs=value)

    def _part_end(self, event: PartEnd) -> bytes:
        self._lanes.pop(event.index, None)
        open_ = self._open.pop(event.index, None)
        return b"" if open_ is None else self._close(open_, event.format)

    def _close(self, open_: _Open, format_: str | None = None) -> bytes:
        """What of a part is told when it ends: an image, a signature.

        That of reasoning is told at once where the part's start said who reads it.
        """
        if open_.is_told:
            return b""
        open_.is_told = True
        said = b"" if open_.media is None else self._image(open_)
        if not open_.signature:
            return said
        signed = msgspec.structs.replace(
            open_.part, signature=open_.signature, format=format_ or open_.part.format
        )
        if isinstance(signed, ReasoningPart):
            piece = encode_piece(signed, Slot.SIGNATURE, open_.signature, open_.place)
            return self._delta(open_.choice.number, piece)
        _, detail = signatures.detail_of(signed, self._signs(open_), self._details)
        self._details += 1
        return said + self._delta(open_.choice.number, {DETAILS: [detail]})

    def _signs(self, open_: _Open) -> str:
        """The id by which a detail names the part that it signs."""
        part = open_.part
        if isinstance(part, ToolCallPart):
            return part.call_id
        if isinstance(part, TextPart):
            return f"{signatures.CONTENT}:{open_.choice.chars}"
        if isinstance(part, RefusalPart):
            return f"{signatures.REFUSAL}:0"
        audio = isinstance(part, MediaPart) and part.kind is MediaKind.AUDIO
        return f"{signatures.AUDIO}:0" if audio else f"{signatures.IMAGES}:{open_.place}"

    def _choice_end(self, event: ChoiceEnd) -> bytes:
        if event.choice in self._ended:
            return b""  # the first reason counts
        self._ended.add(event.choice)
        open_ = [part for part in self._open.values() if part.choice.number == event.choice]
        said = b"".join(map(self._close, open_))
        known = self._choices.get(event.choice)
        legacy = known is not None and known.is_legacy
        choice: Document = {
            "index": event.choice,
            "delta": {"content": ""},
            "finish_reason": wire_reason(event.reason, legacy=legacy),
            "native_finish_reason": event.native_reason,
        }
        logprobs = residue_of(event.ext).get("logprobs")
        if logprobs:
            choice["logprobs"] = logprobs
        if event.choice not in self._spoken:
            self._spoken.add(event.choice)
            choice["delta"] = {"role": "assistant", "content": ""}
        return said + self._ending.finish({**self._head, "choices": [choice]})

    def _keep_usage(self, event: UsageUpdate) -> bytes:
        self._ending.usage = event.usage
        return b""

    def _response_end(self, event: ResponseEnd) -> bytes:
        if self._choices.keys() - self._ended or not self._ended:
            return self._error(StreamError(NO_REASON))
        losses = (*self._stamp.losses, *self._losses)
        return self._ending.close(self._head, self._stamp.provider, losses)

    def _error(self, event: StreamError) -> bytes:
        """A failure after a finish that waited: the finish is never said."""
        self.failure = event.failure
        self._ending.take()
        said = b"".join(map(self._close, self._open.values()))
        return said + error_chunk(event.failure, self._stamp)

    def _opaque(self, event: Opaque) -> bytes:
        if event.dialect == DIALECT:
            return chunk(event.document)
        self._lose([Loss("", "dropped", f"events that only {event.dialect} knows")])
        return b""


_BEGINNINGS: dict[type, Callable[..., bytes]] = {
    TextPart: ChatStreamEncoder._text,
    RefusalPart: ChatStreamEncoder._refusal,
    ReasoningPart: ChatStreamEncoder._reasoning,
    ToolCallPart: ChatStreamEncoder._call,
    MediaPart: ChatStreamEncoder._media,
    OpaquePart: ChatStreamEncoder._opaque_part,
}

_ENCODERS: dict[type, Callable[[ChatStreamEncoder, Any], bytes]] = {
    ResponseStart: ChatStreamEncoder._start,
    PartStart: ChatStreamEncoder._part_start,
    PartDelta: ChatStreamEncoder._part_delta,
    PartEnd: ChatStreamEncoder._part_end,
    ChoiceEnd: ChatStreamEncoder._choice_end,
    UsageUpdate: ChatStreamEncoder._keep_usage,
    ResponseEnd: ChatStreamEncoder._response_end,
    StreamError: ChatStreamEncoder._error,
    KeepAlive: lambda encoder, event: HEARTBEAT,
    Opaque: ChatStreamEncoder._opaque,
}
"""Event to what says it; a table of functions, since bound methods would keep every encoder in
a cycle."""
