"""The conversation of a request: `contents` and `systemInstruction`, decoded.

A turn that holds results of tools is split: one `tool` message for each result, first, then one for
whatever else it held. The note "@turn" says which messages were one turn, "@order" how its parts
stood, so that the same dialect writes it back as it was.
"""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json
from arno.canon.failure import RequestError
from arno.canon.parts import Executor, Part, ToolResultPart
from arno.canon.request import Message, Role
from arno.dialects.gemini.ids import HistoryIds
from arno.dialects.gemini.parts import decode_part
from arno.dialects.gemini.residue import Document, keep, take

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
    ids = HistoryIds()
    messages: list[Message] = []
    for number, content in enumerate(contents):
        messages += _decode_content(content, number, ids)
    return tuple(messages)


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
    return tuple(decode_part(part, ids) for part in parts), residue
