"""The conversation of a request: `contents` and `systemInstruction`, decoded.

A turn that holds results of tools is split: one `tool` message for each result, first, then one for
whatever else it held. The note "@turn" says which messages were one turn, "@order" how its parts
stood, so that the same dialect writes it back as it was.

Clients keep an answer that was streamed as one turn for each chunk. Turns of the model that follow
each other are one message, its pieces joined as those of a stream are; "@wire" holds the turns and
"@parts" what they say, so that they are written back as long as that is still what is to be said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from arno.canon.ext import Json
from arno.canon.failure import RequestError
from arno.canon.fold import Fold
from arno.canon.parts import Executor, Part, ToolResultPart
from arno.canon.request import Message, Role
from arno.dialects.gemini.ids import HistoryIds
from arno.dialects.gemini.parts import decode_part, is_unreadable_call
from arno.dialects.gemini.pieces import BadPieces, is_piece
from arno.dialects.gemini.residue import keep
from arno.dialects.gemini.stream_choice import Choice, Numbers, is_tagged
from arno.dialects.residue import Document, take

USER, MODEL = "user", "model"
ROLES: dict[str | None, Role] = {
    None: Role.USER,
    USER: Role.USER,
    "function": Role.USER,
    "tool": Role.USER,
    MODEL: Role.ASSISTANT,
}
"""Who speaks in a turn; the first is a turn that does not say."""


def decode_system(value: Json) -> Message:
    """The system instruction, which may also be one string. Raises RequestError."""
    if isinstance(value, str):
        value = {"parts": [{"text": value}]}
    if not isinstance(value, Mapping):
        raise RequestError("it must be an object with parts", "systemInstruction")
    parts, residue = _decode_parts(value, HistoryIds(), "systemInstruction")
    return Message(role=Role.SYSTEM, parts=parts, ext=keep(residue))


def decode_contents(contents: Json) -> tuple[Message, ...]:
    """The conversation. Raises RequestError naming the turn."""
    if not isinstance(contents, list) or not contents:
        raise RequestError("contents must be a non-empty array", "contents")
    ids = HistoryIds(_named(contents))
    messages: list[Message] = []
    numbered = list(enumerate(contents))
    for _, group in groupby(numbered, key=lambda each: _speaker(each[1])):
        turns = list(group)
        if _is_streamed([content for _, content in turns]):
            messages.append(_joined(turns, ids))
        else:
            for number, content in turns:
                messages += _decode_content(content, number, ids)
    return tuple(messages)


def _named(contents: list[Json]) -> frozenset[str]:
    """The ids that results of tools name."""
    results = (
        part.get("functionResponse") or part.get("function_response")
        for content in contents
        for part in _wire_parts(content)
        if isinstance(part, Mapping)
    )
    ids = (result.get("id") for result in results if isinstance(result, Mapping))
    return frozenset(each for each in ids if isinstance(each, str))


def _speaker(content: Json) -> Json:
    """Who speaks in a turn, as it stands there."""
    role = content.get("role") if isinstance(content, Mapping) else None
    return role if isinstance(role, str) else None


def _is_streamed(turns: list[Json]) -> bool:
    """True for turns of the model that are pieces of one answer."""
    if _speaker(turns[0]) != MODEL:
        return False
    parts = _wire_parts(turns[0])
    return len(turns) > 1 or any(map(is_tagged, parts)) or any(map(is_piece, parts))


def _wire_parts(content: Json) -> list[Json]:
    parts = content.get("parts") if isinstance(content, Mapping) else None
    return parts if isinstance(parts, list) else []


def _joined(turns: list[tuple[int, Json]], ids: HistoryIds) -> Message:
    """One message of what several turns say."""
    choice, fold = Choice(0, ids, Numbers()), Fold()
    for number, content in turns:
        try:
            for wire in _wire_parts(content):
                for event in choice.feed(wire):
                    fold.feed(event)
        except BadPieces as error:
            raise RequestError(str(error), f"contents[{number}]") from error
    for event in (*choice.cut(), *choice.close()):
        fold.feed(event)
    parts = next((each.parts for each in fold.partial.choices), ())
    _refuse_unreadable(parts, f"contents[{turns[0][0]}]")
    wires = [content for _, content in turns]
    notes: Document = {"@turn": turns[0][0]}
    if not any(is_tagged(part) for content in wires for part in _wire_parts(content)):
        notes |= {"@wire": wires, "@parts": parts}
    return Message(role=Role.ASSISTANT, parts=parts, ext=keep({**notes, "role": MODEL}))


def _decode_content(content: Json, number: int, ids: HistoryIds) -> list[Message]:
    path = f"contents[{number}]"
    if not isinstance(content, Mapping):
        raise RequestError("a turn must be an object", path)
    role = ROLES.get(content.get("role")) if _is_word(content.get("role")) else None
    if role is None:
        raise RequestError("role must be user or model", f"{path}.role")
    parts, residue = _decode_parts(content, ids, path)
    residue["@turn"] = number
    results = [part for part in parts if _is_result(part)]
    if not results:
        return [Message(role=role, parts=parts, ext=keep(residue))]
    others = tuple(part for part in parts if not _is_result(part))
    order = [*results, *others]
    if list(parts) != order:
        residue["@order"] = tuple(
            place for place, _ in sorted(enumerate(parts), key=lambda at: not _is_result(at[1]))
        )
    messages = [Message(role=Role.TOOL, parts=(part,)) for part in results]
    if others:
        messages.append(Message(role=role, parts=others))
    first, *rest = messages
    kept = keep({"@turn": number})
    return [
        Message(role=first.role, parts=first.parts, ext=keep(residue)),
        *(Message(role=each.role, parts=each.parts, ext=kept) for each in rest),
    ]


def _is_word(role: Json) -> bool:
    return role is None or isinstance(role, str)


def _is_result(part: Part) -> bool:
    return isinstance(part, ToolResultPart) and part.executor is Executor.CLIENT


def _decode_parts(
    content: Mapping[str, Json], ids: HistoryIds, path: str
) -> tuple[tuple[Part, ...], Document]:
    """Parts of a turn and what no part carries."""
    values, residue = take(content, "parts")
    parts = values.get("parts", [])
    if not isinstance(parts, list):
        raise RequestError("parts must be an array", f"{path}.parts")
    decoded = tuple(decode_part(part, ids) for part in parts)
    _refuse_unreadable(decoded, path)
    return decoded, residue


def _refuse_unreadable(parts: Iterable[Part], path: str) -> None:
    if any(map(is_unreadable_call, parts)):
        raise RequestError("a tool call must name its tool", f"{path}.parts")
