"""The conversation of a request: `contents` and `systemInstruction`, encoded.

System prompts at the start are the system instruction; a later one stands where it is as the user's
words, since the wire has no other place. The results of one turn's calls are one turn, before what
else was said since (R16). What the upstream is known to refuse is kept from it: turns without
parts, and calls of newer models without any signature (`signatures.UNSIGNED`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from arno.canon.ext import Loss
from arno.canon.failure import RequestError
from arno.canon.parts import (
    Executor,
    MediaPart,
    Part,
    ReasoningForm,
    ReasoningPart,
    ToolCallPart,
    ToolResultPart,
    is_client_call,
)
from arno.canon.request import Message, Request, Role
from arno.dialects.gemini import signatures
from arno.dialects.gemini.contents import MODEL, USER
from arno.dialects.gemini.ids import is_made
from arno.dialects.gemini.media import media_member
from arno.dialects.gemini.part_encode import Told, encode_part
from arno.dialects.gemini.residue import give, is_native, note
from arno.dialects.gemini.results import encode_result
from arno.dialects.residue import Document

SYSTEM = (Role.SYSTEM, Role.DEVELOPER)

_WANTS_SIGNATURES = re.compile(r"gemini-(?:[3-9]|\d\d)")
"""Models that refuse a call without a signature. Source: Gemini API, "Thought signatures"."""


class _Numbered:
    """A message and its place in the request."""

    __slots__ = ("message", "number")

    def __init__(self, number: int, message: Message) -> None:
        self.number = number
        self.message = message


class Conversation:
    """Encodes one request's messages. instruction: None if there is no system prompt."""

    def __init__(self, request: Request) -> None:
        self.instruction: Document | None = None
        self.contents: list[Document] = []
        self.losses: list[Loss] = []
        self._sign = bool(_WANTS_SIGNATURES.search(request.model))
        self._names: dict[str, str] = {}
        self._order: dict[str, int] = {}
        messages = [_Numbered(n, message) for n, message in enumerate(request.messages)]
        first = next(
            (at for at, each in enumerate(messages) if each.message.role not in SYSTEM),
            len(messages),
        )
        self._encode_system(messages[:first])
        for group in _turns(_gathered(messages[first:])):
            self._encode_turn(group)
        if not self.contents:
            raise RequestError("a request needs a message besides system prompts", "/messages")

    def _encode_system(self, messages: Sequence[_Numbered]) -> None:
        parts: list[Document] = []
        for each in messages:
            told = self._told(each)
            if each.message.role is Role.DEVELOPER:
                told.lose("renamed", "a developer message is a system instruction here")
            elif parts:
                told.lose("approximated", "all system messages are one instruction here")
            parts += self._parts(each)
        if messages:
            self.instruction = {"parts": parts, **give(messages[0].message.ext)}

    def _told(self, each: _Numbered, place: int | None = None) -> Told:
        """Collects losses of a message, or of one of its parts."""
        path = f"/messages/{each.number}"
        told = Told(path if place is None else f"{path}/parts/{place}", to_client=False)
        told.losses = self.losses
        return told

    def _encode_turn(self, group: Sequence[_Numbered]) -> None:
        if _is_unchanged(group[0].message):
            self._learn(group[0].message)
            self.contents += note(group[0].message.ext, "wire")
            return
        content: Document = {}
        parts: list[Document] = []
        for each in self._ordered(group):
            content.update(give(each.message.ext))
            if each.message.name is not None:
                self._told(each).lose("dropped", "only a chat message names its speaker", "/name")
            if each.message.role in SYSTEM:
                why = "a system message after the first turn is told as the user's"
                self._told(each).lose("approximated", why)
            parts += self._parts(each)
        message = group[0].message
        native = is_native(message.ext)
        order = note(message.ext, "order")
        if order is not None and len(order) == len(parts):
            parts = [parts[order.index(place)] for place in range(len(parts))]
        if not parts and not native:
            self._lose_empty(group)
            return
        if not native:
            content["role"] = MODEL if message.role is Role.ASSISTANT else USER
        if parts or not native:
            content["parts"] = parts
        self.contents.append(content)

    def _lose_empty(self, group: Sequence[_Numbered]) -> None:
        """Tell that messages without parts are left out; of others their parts were told."""
        for each in group:
            if not each.message.parts:
                self._told(each).lose("dropped", "a turn that holds nothing is no turn here")

    def _ordered(self, group: Sequence[_Numbered]) -> Sequence[_Numbered]:
        """Results whose calls have no ids on the wire stand in the order of their calls."""
        if len(group) == 1 or is_native(group[0].message.ext):
            return group
        ids = [_result_id(each.message) for each in group]
        if not any(map(is_made, ids)):
            return group
        last = len(self._order)
        places = [self._order.get(call_id, last) for call_id in ids]
        return [each for _, each in sorted(zip(places, group, strict=True), key=lambda at: at[0])]

    def _parts(self, each: _Numbered) -> list[Document]:
        message = each.message
        parts: list[Document] = []
        seals = _seals(message.parts)
        unsigned = self._sign and message.role is Role.ASSISTANT and not is_native(message.ext)
        for place, part in enumerate(message.parts):
            told = self._told(each, place)
            if place in seals.values():
                continue
            document = self._part(part, told)
            if document is None:
                continue
            if place in seals:
                document["thoughtSignature"] = _sealed(message.parts[seals[place]])
            if is_client_call(part):
                if unsigned:
                    document.setdefault("thoughtSignature", signatures.UNSIGNED)
                unsigned = False
            parts.append(document)
        return parts

    def _part(self, part: Part, told: Told) -> Document | None:
        if isinstance(part, ToolResultPart) and part.executor is Executor.CLIENT:
            with_id = not is_made(part.call_id) and not _was_bare(part)
            name = self._names.get(part.call_id)
            document, losses = encode_result(part, name, with_id=with_id, path=told.path)
            self.losses += losses
            return document
        if isinstance(part, ReasoningPart):
            return _encode_reasoning(part, told)
        if isinstance(part, MediaPart) and media_member(part) is None:
            raise RequestError("a file of another vendor's store cannot be read here", told.path)
        if isinstance(part, ToolCallPart):
            self._know(part)
            return encode_part(part, told, with_id=not is_made(part.call_id))
        return encode_part(part, told)

    def _know(self, call: ToolCallPart) -> None:
        """Keep what a result must say of its call."""
        self._names[call.call_id] = call.name
        self._order[call.call_id] = len(self._order)

    def _learn(self, message: Message) -> None:
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                self._know(part)


def _is_unchanged(message: Message) -> bool:
    """True for a message that still says what several turns of the wire have said."""
    parts = note(message.ext, "parts")
    return parts is not None and bool(parts == message.parts)


def _was_bare(part: ToolResultPart) -> bool:
    """True for a result that named no call, though the call had an id."""
    return bool(note(part.ext, ".id") == "made")


def _is_foreign_result(message: Message) -> bool:
    return message.role is Role.TOOL and not is_native(message.ext)


def _gathered(messages: Sequence[_Numbered]) -> list[_Numbered]:
    """Results of tools before whatever else was said since their calls (R16).

    Only of other dialects: this one's messages stand as they stood.
    """
    told: list[_Numbered] = []
    place = 0
    calls: set[str] = set()
    for each in messages:
        message = each.message
        if message.role is Role.ASSISTANT:
            if place != len(told):
                calls = set()
            calls |= {part.call_id for part in message.parts if isinstance(part, ToolCallPart)}
            told.append(each)
            place = len(told)
        elif _is_foreign_result(message) and (place == len(told) or _result_id(message) in calls):
            told.insert(place, each)
            place += 1
        else:
            told.append(each)
    return told


def _turns(messages: Sequence[_Numbered]) -> list[list[_Numbered]]:
    """Messages that are one turn on the wire: noted as such, or results that follow each other.

    So are the model's, since the results of all its calls must stand in the very next turn.
    """

    def turn_of(each: _Numbered) -> tuple[object, ...]:
        message = each.message
        if is_native(message.ext):
            turn = note(message.ext, "turn")
            return ("noted", turn if turn is not None else -each.number - 1)
        joined = message.role in (Role.TOOL, Role.ASSISTANT)
        return (message.role,) if joined else ("alone", each.number)

    return [list(group) for _, group in groupby(messages, key=turn_of)]


def _result_id(message: Message) -> str:
    results = (part.call_id for part in message.parts if isinstance(part, ToolResultPart))
    return next(results, "")


def _sealed(part: Part) -> str | None:
    return part.sealed if isinstance(part, ReasoningPart) else None


def _seals(parts: Sequence[Part]) -> dict[int, int]:
    """Calls whose signature stands in a sealed reasoning part that names them: place to place."""
    sealed = {
        part.id: place
        for place, part in enumerate(parts)
        if isinstance(part, ReasoningPart) and _is_seal(part) and part.id is not None
    }
    return {
        place: sealed[part.call_id]
        for place, part in enumerate(parts)
        if isinstance(part, ToolCallPart) and part.signature is None and part.call_id in sealed
    }


def _is_seal(part: ReasoningPart) -> bool:
    """True for one of this dialect's signatures as other wires carry it."""
    sealed = part.form in (ReasoningForm.SEALED, ReasoningForm.REDACTED)
    return sealed and part.format == signatures.FORMAT and part.sealed is not None


def _encode_reasoning(part: ReasoningPart, told: Told) -> Document | None:
    if _is_seal(part):
        return {"text": part.text, "thoughtSignature": part.sealed}
    native = is_native(part.ext) and part.format in (None, signatures.FORMAT)
    if not native and part.format != signatures.FORMAT:
        told.lose("dropped", "reasoning goes back to its origin only")
        return None
    return encode_part(part, told)
