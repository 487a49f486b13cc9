"""One choice of a chunk: its delta as events of parts.

Parts of a choice are open until it ends, each under a key: text, refusal, audio, a kind of
reasoning with its index and id, a call. Something that comes whole is open under a key of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence

import msgspec

from arno.canon.events import Event, PartDelta, PartEnd, PartStart, Slot
from arno.canon.ext import NO_EXT, Json
from arno.canon.parts import (
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.dialects.chat.citations import decode_citations
from arno.dialects.chat.content import decode_block
from arno.dialects.chat.reasoning import DETAILS, decode_detail, is_readable, text_member
from arno.dialects.chat.residue import DIALECT, keep, residue_of
from arno.dialects.chat.signatures import CONTENT, is_artefact, place_of
from arno.dialects.chat.stream_choice import AUDIO, LEGACY, REFUSAL, TEXT, OpenChoice
from arno.dialects.chat.tool_calls import FragmentError, OpenCall, is_uniform, read_fragment
from arno.dialects.chat.turn import LEGACY_CALL, decode_audio_answer, with_member
from arno.dialects.residue import integer, items, text

PLAIN = frozenset({"role", "content", "tool_calls", "reasoning", "reasoning_content", DETAILS})
"""Members of a delta that nearly all chunks hold and no others: the quick way past the rest."""


class Deltas:
    """Deltas of one stream, whose parts are counted over all choices.

    output: a part was started; regular: what was read since this was set says it in the uniform
    layout (see `Batch`).
    """

    def __init__(self) -> None:
        self.output = False
        self.regular = True
        self._next_part = 0

    def read(self, choice: OpenChoice, wire: dict[str, Json]) -> Iterator[Event]:
        """What one entry of `choices` says, but for its end. Raises FragmentError."""
        delta = wire.get("delta")
        if delta is None:
            delta = self._said_whole(choice, wire)
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

    def _said_whole(self, choice: OpenChoice, wire: dict[str, Json]) -> Json:
        """What some hosts say instead of deltas: texts, or a whole message; None for neither.

        A message behind deltas repeats what they have said. What is read is written as a delta.
        """
        said = wire.get("message")
        if isinstance(wire.get("text"), str):
            said = {"content": wire.pop("text")}
        elif not isinstance(said, dict) or choice.open or choice.has_calls:
            return None
        self.regular = False
        wire.pop("message", None)
        wire["delta"] = said
        return said

    def _logprobs(self, choice: OpenChoice, document: Json) -> Iterator[Event]:
        index = choice.open.get(TEXT, choice.open.get(REFUSAL))
        if index is None:
            choice.note_logprobs(document)
        else:
            yield PartDelta(index, Slot.LOGPROBS, document)

    def end(self, choice: OpenChoice, *, whole: bool) -> Iterator[Event]:
        """Close what is open. A call whose id never came gets one from its position.

        A whole call without arguments has the arguments {}; one that was cut short may have lost
        them, so nothing is made up for it.
        """
        for call in choice.assembler.calls:
            if not call.announced:
                if call.name is None:
                    raise FragmentError("arguments without the name of a tool")
                call.id = call.id or f"call_{call.position}"
                self.regular = False
                yield from self._announce(choice, call)
            bare = call in choice.call_parts and not call.has_arguments
            if whole and bare and call.kind == "function":
                self.regular = False
                call.has_arguments = True
                yield PartDelta(choice.call_parts[call], Slot.ARGUMENTS, "{}")
        if whole and LEGACY in choice.open and not choice.legacy_has_arguments:
            yield PartDelta(choice.open[LEGACY], Slot.ARGUMENTS, "{}")
        yield from self.release(choice)
        rest = {choice.open.get(AUDIO): choice.audio} if choice.audio else {}
        for index in sorted(choice.open.values()):
            ext = keep(rest[index]) if index in rest else NO_EXT
            yield PartEnd(index, ext=ext, format=choice.formats.get(index))
        choice.open.clear()
        choice.call_parts.clear()

    def release(self, choice: OpenChoice) -> Iterator[Event]:
        """Details that no call came for are reasoning of their own."""
        held, choice.held = choice.held, []
        for index, detail in held:
            choice.open[object()] = index
            yield PartStart(index, _emptied(detail), choice.number)
            yield PartDelta(index, Slot.SEALED, detail.sealed)

    def _start_part(self, choice: OpenChoice, key: object, part: Part) -> PartStart:
        self.output = True
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
            self.regular = False
            return
        call = choice.assembler.attribute(fragment)
        before = call.announced
        if not is_uniform(fragment, call, announced_before=before):
            self.regular = False
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


def _emptied(part: ReasoningPart) -> ReasoningPart:
    """What is known of reasoning before its first piece."""
    return ReasoningPart(id=part.id, form=part.form, format=part.format, ext=part.ext)
