"""The conversation: `system` and `messages`, both directions.

A turn of the user holds tool results and what the user says; canonically each result is a message
of its own, so a turn is split where it is read and joined where it is written, results first (R16).
Pieces of one turn after its first are noted ("@continues"), so that a turn comes back as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from arno.canon.ext import Json, Loss
from arno.canon.failure import RequestError
from arno.canon.parts import Executor, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from arno.canon.request import Message, Role
from arno.dialects.messages.blocks import decode_blocks, decode_content
from arno.dialects.messages.content import encode_parts
from arno.dialects.messages.residue import give, is_native, keep, note
from arno.dialects.residue import Document, take

ROLES: dict[str, Role] = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
}
_LEADING = (Role.SYSTEM, Role.DEVELOPER)


def decode_system(residue: Document) -> tuple[Message, ...]:
    """The system prompt as a message; its note says that it stood before the conversation."""
    system = residue.get("system")
    if not isinstance(system, str | list) or not system:
        return ()
    del residue["system"]
    shape = "text" if isinstance(system, str) else "blocks"
    parts = decode_content(system)
    return (Message(role=Role.SYSTEM, parts=parts, ext=keep({"@system": shape})),)


def decode_messages(messages: Json, inputs: list[list[Raw]]) -> tuple[Message, ...]:
    """The conversation. Raises RequestError naming the message."""
    if not isinstance(messages, list) or not messages:
        raise RequestError("messages must be a non-empty array", "messages")
    decoded: list[Message] = []
    for number, message in enumerate(messages):
        raw = inputs[number] if number < len(inputs) else []
        decoded.extend(_decode_turn(message, f"messages[{number}]", raw))
    return tuple(decoded)


def _decode_turn(message: Json, path: str, inputs: list[Raw]) -> list[Message]:
    if not isinstance(message, Mapping):
        raise RequestError("a message must be an object", path)
    role = ROLES.get(str(message.get("role")))
    if role is None:
        raise RequestError(f"role must be one of {', '.join(ROLES)}", f"{path}.role")
    values, residue = take(message, "role", "content")
    content = values.get("content", [])
    if isinstance(content, str):
        parts: tuple[Part, ...] = (TextPart(text=content),)
        return [Message(role=role, parts=parts, ext=keep({**residue, "@content": "text"}))]
    if not isinstance(content, list):
        raise RequestError("content must be a text or an array of blocks", f"{path}.content")
    for number, block in enumerate(content):
        if not isinstance(block, Mapping):
            raise RequestError("a block must be an object", f"{path}.content[{number}]")
    parts = decode_blocks(content, inputs)
    if role is not Role.USER:
        return [Message(role=role, parts=parts, ext=keep(residue))]
    return _split(parts, residue)


def _split(parts: Sequence[Part], residue: Document) -> list[Message]:
    """A user's turn as messages: each result alone, what stands between them together."""
    groups: list[tuple[Role, list[Part]]] = []
    for part in parts:
        if isinstance(part, ToolResultPart) and part.executor is Executor.CLIENT:
            groups.append((Role.TOOL, [part]))
        elif groups and groups[-1][0] is Role.USER:
            groups[-1][1].append(part)
        else:
            groups.append((Role.USER, [part]))
    if not groups:
        return [Message(role=Role.USER, ext=keep(residue))]
    return [
        Message(
            role=role,
            parts=tuple(group),
            ext=keep(residue if number == 0 else {"@continues": True}),
        )
        for number, (role, group) in enumerate(groups)
    ]


class Conversation:
    """What the messages of a request say on this wire."""

    def __init__(self) -> None:
        self.system: Json = None
        self.turns: list[Document] = []
        self.losses: list[Loss] = []
        self._open: Document | None = None
        self._results = 0

    def add(self, message: Message, path: str) -> None:
        """One message. Raises RequestError for what must not be dropped."""
        parts = message.parts
        if message.role not in (Role.USER, Role.TOOL):
            self._open = None
        if message.role in _LEADING:
            parts = self._told_by_user(message, path)
        blocks, losses = encode_parts(parts, path, to_client=False)
        self.losses += losses
        if message.name is not None:
            why = "a messages turn does not name its speaker"
            self.losses.append(Loss(f"{path}/name", "dropped", why))
        if self._joins(message):
            self._join(message, blocks)
        elif blocks or is_native(message.ext) or (message.role is Role.USER and not parts):
            # A turn of the user that never said anything is for the upstream to refuse.
            self._begin(message, blocks)

    def _told_by_user(self, message: Message, path: str) -> tuple[Part, ...]:
        """Instructions in mid-conversation, which not every model takes from a system turn."""
        if not is_native(message.ext):
            why = "instructions in mid-conversation are told by the user"
            self.losses.append(Loss(path, "approximated", why))
        return message.parts

    def _joins(self, message: Message) -> bool:
        """True for what belongs to the user's turn that is open."""
        if self._open is None or message.role not in (Role.USER, Role.TOOL):
            return False
        if is_native(message.ext):
            return note(message.ext, "continues") is True
        return message.role is Role.TOOL or self._results == len(self._open["content"])

    def _join(self, message: Message, blocks: list[Document]) -> None:
        content = self._turn()["content"]
        if message.role is Role.TOOL and not is_native(message.ext):
            content[self._results : self._results] = blocks
        else:
            content.extend(blocks)
        if message.role is Role.TOOL:
            self._results += len(blocks)

    def _turn(self) -> Document:
        assert self._open is not None
        return self._open

    def _begin(self, message: Message, blocks: list[Document]) -> None:
        turn: Document = {"role": _ROLE_WORDS.get(message.role, "user"), **give(message.ext)}
        if message.role is Role.SYSTEM and is_native(message.ext):
            turn["role"] = "system"
        is_text = note(message.ext, "content") == "text" and len(blocks) == 1
        if is_text and blocks[0].keys() == {"type", "text"}:
            turn["content"] = blocks[0]["text"]
        elif blocks or "content" not in turn:
            turn["content"] = blocks
        self.turns.append(turn)
        open_ = message.role in (Role.USER, Role.TOOL) and isinstance(turn["content"], list)
        self._open = turn if open_ else None
        self._results = len(blocks) if message.role is Role.TOOL else 0


_ROLE_WORDS = {Role.ASSISTANT: "assistant"}


def encode_messages(messages: Sequence[Message]) -> Conversation:
    """The system prompt and the turns."""
    conversation = Conversation()
    leading = _leading(messages)
    _hoist(messages[:leading], conversation)
    for number, message in enumerate(messages[leading:], leading):
        conversation.add(message, f"/messages/{number}")
    return conversation


def _leading(messages: Sequence[Message]) -> int:
    """How many messages at the beginning make the system prompt.

    A request needs a turn: where there is none, the last instruction becomes one.
    """
    for number, message in enumerate(messages):
        if message.role not in _LEADING:
            return number
        if is_native(message.ext) and note(message.ext, "system") is None:
            return number
    return max(len(messages) - 1, 0)


def _hoist(messages: Sequence[Message], conversation: Conversation) -> None:
    blocks: list[Document] = []
    for number, message in enumerate(messages):
        more, losses = encode_parts(message.parts, f"/messages/{number}", to_client=False)
        blocks += more
        conversation.losses += losses
        if message.role is Role.DEVELOPER:
            why = "the wire knows instructions of one kind only"
            conversation.losses.append(Loss(f"/messages/{number}/role", "renamed", why))
    as_text = note(messages[0].ext, "system") != "blocks" if messages else False
    if len(blocks) == 1 and as_text and blocks[0].keys() == {"type", "text"}:
        conversation.system = blocks[0]["text"]
    elif blocks:
        conversation.system = blocks


def begun_without_thinking(messages: Sequence[Message]) -> bool:
    """True if tools were called in the turn that goes on, and it did not begin with thinking.

    Such a turn must be gone on with as it began. Only what this wire takes back counts.
    """
    if not messages or messages[-1].role is not Role.TOOL:
        return False
    for message in reversed(messages):
        if message.role is Role.ASSISTANT:
            calls = any(isinstance(part, ToolCallPart) for part in message.parts)
            _, losses = encode_parts(_reasoning(message), "", to_client=False)
            return calls and len(losses) >= len(_reasoning(message))
    return False


def _reasoning(message: Message) -> list[Part]:
    return [part for part in message.parts if isinstance(part, ReasoningPart)]


def without_trailing_space(messages: Sequence[Message]) -> tuple[tuple[Message, ...], list[Loss]]:
    """An answer that is to be gone on with may not end in white space."""
    last = messages[-1] if messages else None
    part = last.parts[-1] if last is not None and last.parts else None
    if (
        last is None
        or last.role is not Role.ASSISTANT
        or is_native(last.ext)
        or not isinstance(part, TextPart)
        or part.text == part.text.rstrip()
    ):
        return tuple(messages), []
    number = len(messages) - 1
    stripped = msgspec.structs.replace(part, text=part.text.rstrip())
    changed = msgspec.structs.replace(last, parts=(*last.parts[:-1], stripped))
    why = "an answer that is to be gone on with may not end in white space"
    loss = Loss(f"/messages/{number}/parts/{len(last.parts) - 1}", "approximated", why)
    return (*messages[:-1], changed), [loss]
