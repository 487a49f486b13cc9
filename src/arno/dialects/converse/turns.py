"""The conversation: system blocks and turns.

The wire knows turns of a user and of an assistant, in alternation, and puts the results of tools
into the user's. The canonical form has one message for each result; what came from one turn notes
that it is `joined` to the message before. Turns of our own making put results first (R16).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from arno.canon.ext import Json
from arno.canon.failure import RequestError
from arno.canon.parts import CacheHint, Executor, Part, ToolResultPart
from arno.canon.request import Message, Role
from arno.dialects.converse.blocks_decode import NO_ARGUMENTS, Arguments, decode_blocks
from arno.dialects.converse.blocks_encode import cache_point, encode_parts
from arno.dialects.converse.residue import DIALECT, give, is_native, keep, note
from arno.dialects.converse.writing import Writing
from arno.dialects.disclosure import foreign
from arno.dialects.residue import Document

ROLES: dict[str, Role] = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
}
WORDS: dict[Role, str] = {
    Role.USER: "user",
    Role.TOOL: "user",
    Role.ASSISTANT: "assistant",
}
"""Role to the wire's word; system prompts stand apart."""

PROMPTS = frozenset({Role.SYSTEM, Role.DEVELOPER})


def decode_system(blocks: Json) -> Message:
    """The system blocks as one message. Raises RequestError."""
    if not isinstance(blocks, list):
        raise RequestError("system must be an array", "system")
    return Message(Role.SYSTEM, tuple(decode_blocks(blocks)), ext=keep({}))


def decode_turns(turns: Json, arguments: Sequence[Arguments]) -> list[Message]:
    """The messages of all turns. Raises RequestError naming the turn."""
    if not isinstance(turns, list) or not turns:
        raise RequestError("messages must be a non-empty array", "messages")
    messages: list[Message] = []
    for number, turn in enumerate(turns):
        inputs = arguments[number] if number < len(arguments) else NO_ARGUMENTS
        messages += _decode_turn(turn, f"messages[{number}]", inputs)
    return messages


def _decode_turn(turn: Json, path: str, arguments: Arguments) -> list[Message]:
    if not isinstance(turn, Mapping):
        raise RequestError("a message must be an object", path)
    role = ROLES.get(str(turn.get("role")))
    if role is None:
        raise RequestError(f"role must be one of {', '.join(ROLES)}", f"{path}.role")
    content = turn.get("content")
    if not isinstance(content, list):
        raise RequestError("content must be an array", f"{path}.content")
    residue: Document = {k: v for k, v in turn.items() if k not in ("role", "content")}
    parts = decode_blocks(content, arguments)
    if role is Role.SYSTEM:
        residue["@place"] = "turn"
    if role is not Role.USER:
        return [Message(role, tuple(provided(parts)), ext=keep(residue))]
    runs = _runs(parts)
    joined: Document = {"@joined": True}
    return [
        Message(kind, tuple(run), ext=keep(residue if number == 0 else joined))
        for number, (kind, run) in enumerate(runs)
    ]


def provided(parts: Sequence[Part]) -> list[Part]:
    """Parts of an assistant's turn: results in it are those of tools that the provider ran."""
    return [
        msgspec.structs.replace(part, executor=Executor.PROVIDER)
        if isinstance(part, ToolResultPart)
        else part
        for part in parts
    ]


def _runs(parts: Sequence[Part]) -> list[tuple[Role, list[Part]]]:
    """One run for each result, one for what stands between them; at least one."""
    runs: list[tuple[Role, list[Part]]] = []
    for part in parts:
        if isinstance(part, ToolResultPart):
            runs.append((Role.TOOL, [part]))
        elif runs and runs[-1][0] is Role.USER:
            runs[-1][1].append(part)
        else:
            runs.append((Role.USER, [part]))
    return runs or [(Role.USER, [])]


class _Turn:
    """One turn while its messages are gathered. native: all of them came from one wire turn."""

    __slots__ = ("document", "native", "others", "results", "role")

    def __init__(self, role: str, document: Document, *, native: bool) -> None:
        self.role = role
        self.document = document
        self.native = native
        self.results: list[Json] = []
        self.others: list[Json] = []

    def add(self, message: Message, blocks: list[Json]) -> None:
        """Put the blocks of one more message in."""
        self.native = self.native and is_native(message.ext)
        is_result = message.role is Role.TOOL and not self.native
        (self.results if is_result else self.others).extend(blocks)

    def written(self) -> Document:
        """The wire's document of the turn."""
        return {**self.document, "role": self.role, "content": self.results + self.others}


def encode_conversation(
    messages: Sequence[Message], writing: Writing
) -> tuple[list[Json], list[Json]]:
    """System blocks and turns."""
    system: list[Json] = []
    turns: list[_Turn] = []
    for number, message in enumerate(messages):
        path = f"/messages/{number}"
        writing.losses += foreign(message.ext, DIALECT, path)
        if message.name is not None:
            writing.drop(f"{path}/name", "the wire does not name who speaks")
        if message.role in PROMPTS and note(message.ext, "place") != "turn":
            system += _prompt(message, path, writing, late=bool(turns))
        else:
            blocks = encode_parts(message.parts, path, writing)
            if blocks or is_native(message.ext):
                _add_turn(turns, message, blocks)
    kept = [turn for turn in turns if turn.native or turn.results or turn.others]
    return system, [turn.written() for turn in kept]


def _prompt(message: Message, path: str, writing: Writing, *, late: bool) -> list[Json]:
    if message.role is Role.DEVELOPER:
        writing.rename(f"{path}/role", "a developer's message is a system prompt on this wire")
    if late:
        writing.approximate(path, "a system prompt stands before the conversation on this wire")
    return encode_parts(message.parts, path, writing)


def _add_turn(turns: list[_Turn], message: Message, blocks: list[Json]) -> None:
    role = WORDS.get(message.role, "system")
    native = is_native(message.ext)
    last = turns[-1] if turns else None
    apart = native and note(message.ext, "joined") is None
    if last is None or last.role != role or (last.native and apart):
        last = _Turn(role, give(message.ext), native=native)
        turns.append(last)
    last.add(message, blocks)


def mark_end(turns: list[Json], hint: CacheHint, writing: Writing) -> None:
    """A cache point behind the last block of the conversation, unless one stands there."""
    content = turns[-1]["content"] if turns else []
    if content and "cachePoint" not in content[-1]:
        content.append(cache_point(hint, "", writing))
