"""Quirks of a request's messages: what hosts refuse in a conversation that others understand.

Each is a pure function of the members of a chat request. Messages are looked into only as far as a
quirk must, and what it leaves alone keeps its spelling, digit by digit. A body that does not have
the shape of a conversation goes on as it is: its upstream says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.ids import IdRule, to_wire

Members = Mapping[str, Any]
Message = dict[str, Raw]
Change = Callable[[Message], Message]

_MESSAGES = msgspec.json.Decoder(list[dict[str, Raw]])
_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()

_ABSENT = Raw()


class _Call(msgspec.Struct, gc=False):
    id: str | None = None


class Look(msgspec.Struct, gc=False):
    """What of a message tells whether a quirk concerns it."""

    role: str | None = None
    content: Raw = _ABSENT
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    reasoning: Raw = _ABSENT
    reasoning_content: Raw = _ABSENT
    reasoning_details: Raw = _ABSENT

    @property
    def ids(self) -> list[str]:
        """Ids of calls, those that it asks for and that it answers."""
        asked = [call.id for call in self.tool_calls or () if call.id is not None]
        return asked if self.tool_call_id is None else [*asked, self.tool_call_id]


TEXTS = ("reasoning_content", "reasoning")
"""Members that hold reasoning as a string, the first one with text counts."""
DETAILS = "reasoning_details"


def system_role(members: Members) -> Members:
    """Developers' messages under the older role: the newer one is refused.

    Source: answers of DeepSeek (unknown variant `developer`) and Z.AI (incorrect role information),
    and the roles that Mistral's and Moonshot's references list.
    """
    return _changed(members, _with_system_role)


def _with_system_role(message: Message) -> Message:
    developer = _text(message.get("role")) == "developer"
    return {**message, "role": _raw("system")} if developer else message


def no_reasoning(members: Members) -> Members:
    """Without the reasoning of earlier turns: a message that holds some is refused.

    Source: answers of Groq and Cerebras (property is unsupported) and of Mistral (extra inputs are
    not permitted); OpenAI's reference has no such members.
    """
    return _changed(members, lambda message: _without(message, (*TEXTS, DETAILS)))


def no_reasoning_details(members: Members) -> Members:
    """Without details of reasoning: they are other hosts' artefacts, which go back only there."""
    return _changed(members, lambda message: _without(message, (DETAILS,)))


def reasoning_content(members: Members) -> Members:
    """Reasoning of earlier turns under the one name that the host reads.

    Source: recorded requests of Z.AI and llama.cpp; DeepSeek's and Moonshot's documents of thinking
    with tools.
    """
    return _changed(members, _with_reasoning_content)


def _with_reasoning_content(message: Message) -> Message:
    if _text(message.get("role")) != "assistant":
        return message
    rest = _without(message, ("reasoning", DETAILS))
    if rest is message:
        return message
    text = next(filter(None, (_text(message.get(name)) for name in TEXTS)), None)
    text = text or _readable(message.get(DETAILS))
    return {**rest, TEXTS[0]: _raw(text)} if text else rest


def _readable(details: Raw | None) -> str:
    """What details say in words."""
    entries = None if details is None else _ANY.decode(details)
    if not isinstance(entries, list):
        return ""
    said = [
        entry.get("text") or entry.get("summary") for entry in entries if isinstance(entry, dict)
    ]
    return "".join(text for text in said if isinstance(text, str))


def thinking_calls(members: Members) -> Members:
    """An empty `reasoning_content` with calls that have none: while thinking, none is refused.

    Calls of another model's turn have none. Source: answers of DeepSeek and Moonshot (in thinking
    mode it must be passed back; it is missing in the assistant's tool call message).
    """
    return _changed(members, _with_empty_reasoning)


def _with_empty_reasoning(message: Message) -> Message:
    calls = message.get("tool_calls")
    if calls is None or not bytes(calls).startswith(b"[{") or TEXTS[0] in message:
        return message
    return {**message, TEXTS[0]: _raw("")}


SHORT = IdRule(most=40)
NINE = IdRule(most=9, extra="", exact=True)


def short_ids(members: Members) -> Members:
    """Ids of calls with at most 40 characters: longer ones are refused (R15).

    Source: answers of OpenAI (string too long, maximum length 40).
    """
    return _with_ids(members, SHORT)


def nine_ids(members: Members) -> Members:
    """Ids of calls with exactly nine letters and digits: others are refused (R15).

    Source: answers of Mistral (must be a-z, A-Z, 0-9, with a length of 9).
    """
    return _with_ids(members, NINE)


def _with_ids(members: Members, rule: IdRule) -> Members:
    """Ids as the rule has them, the same for a call and its result; stable, without a memory."""

    def rewritten(message: Message) -> Message:
        changes: Message = {}
        result = _text(message.get("tool_call_id"))
        if result is not None:
            changes["tool_call_id"] = _raw(to_wire(result, rule))
        calls = message.get("tool_calls")
        if calls is not None and bytes(calls).startswith(b"["):
            changes["tool_calls"] = _calls_with_ids(calls, rule)
        same = all(bytes(message[name]) == bytes(value) for name, value in changes.items())
        return message if same else {**message, **changes}

    return _changed(members, rewritten)


def _calls_with_ids(calls: Raw, rule: IdRule) -> Raw:
    written = []
    for call in _MESSAGES.decode(calls):
        id_ = _text(call.get("id"))
        written.append(call if id_ is None else {**call, "id": _raw(to_wire(id_, rule))})
    return _raw(written)


def media_after_results(members: Members) -> Members:
    """Media of tool results in a user's message behind them: in a tool's message it is refused.

    Source: answers of OpenAI (image URLs are only allowed for messages with role user).
    """
    messages = _messages(members)
    written: list[Message] = []
    waiting: list[Any] = []
    for message in messages or ():
        if _text(message.get("role")) != "tool":
            _flush(waiting, written)
            written.append(message)
        else:
            written.append(_without_media(message, waiting))
    _flush(waiting, written)
    if messages is None or len(written) == len(messages):
        return members
    return {**members, "messages": _raw(written)}


def _without_media(message: Message, waiting: list[Any]) -> Message:
    """The result's text; its media, named by the call's id, are put to those that wait."""
    content = message.get("content")
    blocks = None if content is None else _ANY.decode(content)
    if not isinstance(blocks, list):
        return message
    media = [b for b in blocks if isinstance(b, dict) and b.get("type") != "text"]
    if not media:
        return message
    result = _text(message.get("tool_call_id")) or ""
    waiting += [{"type": "text", "text": f"Media of tool result {result}:"}, *media]
    texts = [b for b in blocks if b not in media]
    said = texts or [{"type": "text", "text": "The result is the media that follow."}]
    return {**message, "content": _raw(said)}


def _flush(waiting: list[Any], written: list[Message]) -> None:
    if waiting:
        written.append({"role": _raw("user"), "content": _raw(waiting)})
        waiting.clear()


def _changed(members: Members, change: Change) -> Members:
    """`members` with `change` made to each message; themselves where nothing changes."""
    messages = _messages(members)
    if messages is None:
        return members
    written = [change(message) for message in messages]
    same = all(new is old for new, old in zip(written, messages, strict=True))
    return members if same else {**members, "messages": _raw(written)}


def _messages(members: Members) -> list[Message] | None:
    try:
        return _MESSAGES.decode(members["messages"])
    except (KeyError, msgspec.MsgspecError):
        return None


def _without(message: Message, names: Iterable[str]) -> Message:
    found = [name for name in names if name in message]
    if not found:
        return message
    return {name: value for name, value in message.items() if name not in found}


def _text(value: Raw | None) -> str | None:
    """A member that is a string."""
    if value is None or not bytes(value).startswith(b'"'):
        return None
    text = _ANY.decode(value)
    return text if isinstance(text, str) else None


def _raw(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


def _breaks(rule: IdRule) -> Callable[[Look], bool]:
    return lambda look: any(to_wire(each, rule) != each for each in look.ids)


def _is_list(value: Raw) -> bool:
    return bytes(memoryview(value)[:1]) == b"["


def _has(*names: str) -> Callable[[Look], bool]:
    return lambda look: any(len(memoryview(getattr(look, name))) for name in names)


CONCERNS: Mapping[str, Callable[[Look], bool]] = {
    "system_role": lambda look: look.role == "developer",
    "no_reasoning": _has(*TEXTS, DETAILS),
    "no_reasoning_details": _has(DETAILS),
    "reasoning_content": _has("reasoning", DETAILS),
    "thinking_calls": lambda look: bool(look.tool_calls),
    "short_ids": _breaks(SHORT),
    "nine_ids": _breaks(NINE),
    "media_after_results": lambda look: look.role == "tool" and _is_list(look.content),
}
"""Whether a quirk may change a message."""
