"""Requests of this dialect, decoded.

The canonical form keeps the conversation as messages: every item of the assistant's that follows
another stands in one message with it (its parts know their items), every output of a tool is a
message of its own, `instructions` is a leading message of the system. Clients write items loosely
(messages without `type`, reasoning without `id`); they are read all the same.
Source: OpenAI API reference, "Create a model response"; recorded requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from arno.canon.ext import Json, is_empty
from arno.canon.failure import RequestError
from arno.canon.parts import Executor, Part, TextPart, ToolResultPart
from arno.canon.request import Message, Reasoning, Request, Role, Sampling
from arno.dialects.bodies import ROUTING, convert
from arno.dialects.residue import Document, take
from arno.dialects.responses.content import decode_entry
from arno.dialects.responses.items import BrokenCall, Read, attach, kind_of, read_item
from arno.dialects.responses.kinds import MESSAGE
from arno.dialects.responses.residue import keep
from arno.dialects.responses.shape import REQUEST
from arno.dialects.responses.tools import decode_choice, decode_text, decode_tools
from arno.dialects.shapes import check
from arno.wire import json
from arno.wire.errors import MalformedJSON

SCALARS: dict[str, str] = {
    "model": "model",
    "stream": "stream",
    "parallel_tool_calls": "parallel_tool_calls",
    "max_output_tokens": "max_output_tokens",
    "metadata": "metadata",
    "user": "user",
    "service_tier": "service_tier",
    "safety_identifier": "safety_identifier",
    "prompt_cache_key": "cache_key",
    "store": "store",
}
"""Wire member to canonical field, value unchanged."""

SAMPLING = ("temperature", "top_p", "top_logprobs")

DEFAULTS: dict[str, Json] = {"stream": False}

ARTEFACTS, LOGPROBS = "reasoning.encrypted_content", "message.output_text.logprobs"
"""What `include` may ask for that the canonical form knows: artefacts of reasoning are always
told to clients, and probabilities are a parameter of sampling."""

INSTRUCTIONS = "instructions"

T = TypeVar("T", bound=msgspec.Struct)


class _Scalars(msgspec.Struct):
    """The types that members of `SCALARS` must have."""

    model: str
    stream: bool | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    metadata: Json = None
    user: str | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    store: bool | None = None


def decode_request(body: bytes) -> Request:
    """A client's request. Raises RequestError naming the member."""
    try:
        document = json.loads(body)
    except MalformedJSON as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError("the body must be a JSON object")
    if not isinstance(document.get("model"), str) or not document["model"]:
        raise RequestError("model must be a non-empty string", "model")
    check(REQUEST, document)
    fields, residue = _decode_members(document)
    fields["messages"] = _decode_conversation(residue)
    return Request(ext=keep(residue), **fields)


def _decode_members(document: Mapping[str, Json]) -> tuple[dict[str, Any], Document]:
    fields: dict[str, Any] = {}
    values, residue = take(document, *SCALARS, *SAMPLING, *ROUTING)
    sampling = {key: values.pop(key) for key in SAMPLING if key in values}
    routing = {key: values.pop(key) for key in ROUTING if key in values}
    for member, value in values.items():
        if value == DEFAULTS.get(member):
            residue[member] = value
        else:
            fields[SCALARS[member]] = value
    convert(values, _Scalars)
    _include(residue, sampling)
    if sampling:
        fields["sampling"] = convert(sampling, Sampling)
    if routing:
        fields["routing"] = routing
    for decode in (decode_text, decode_choice, _reasoning):
        decode(residue, fields)
    if not is_empty(residue.get("tools")):
        fields["tools"] = decode_tools(residue.pop("tools"))
    return fields, residue


def _include(residue: Document, sampling: Document) -> None:
    """`include` is only a note where the canonical form says all that it asks for."""
    include = residue.get("include")
    if not isinstance(include, list):
        return
    if LOGPROBS in include:
        sampling["logprobs"] = True
    if include and all(word in (ARTEFACTS, LOGPROBS) for word in include):
        residue["@include"] = residue.pop("include")


def _reasoning(residue: Document, fields: dict[str, Any]) -> None:
    document = residue.get("reasoning")
    if not isinstance(document, Mapping):
        return
    values, rest = take(document, "effort", "summary", "max_tokens", "exclude", "enabled")
    del residue["reasoning"]
    budget = values.pop("max_tokens", None)
    members = {**values, "budget": budget, "ext": keep(rest)}
    try:
        fields["reasoning"] = convert(members, Reasoning)
    except RequestError as error:
        path = "max_tokens" if error.path == "budget" else error.path
        raise RequestError(error.message, f"reasoning.{path}") from error


def _decode_conversation(residue: Document) -> tuple[Message, ...]:
    """The messages of `instructions` and `input`, which may both be left out."""
    messages: list[Message] = []
    instructions = residue.get(INSTRUCTIONS)
    if isinstance(instructions, str) and instructions:
        del residue[INSTRUCTIONS]
        part = TextPart(text=instructions, ext=keep({}))
        messages.append(Message(Role.SYSTEM, (part,), ext=keep({"@member": INSTRUCTIONS})))
    given = residue.get("input")
    if isinstance(given, str):
        if given:
            del residue["input"]
            note = keep({"@member": "input"})
            messages.append(Message(Role.USER, (TextPart(text=given, ext=keep({})),), ext=note))
    elif isinstance(given, list):
        messages += decode_items(given)
        if given:
            del residue["input"]
    elif given is not None:
        raise RequestError("input must be a string or an array of items", "input")
    return tuple(messages)


def decode_items(given: list[Json]) -> list[Message]:
    """The conversation. Raises RequestError naming the item."""
    messages: list[Message] = []
    turn: list[Part] = []
    for number, item in enumerate(given):
        if not isinstance(item, Mapping):
            raise RequestError("an item must be an object", f"input[{number}]")
        message = _whole_message(item, number)
        if message is None:
            _read_into(turn, item, number)
            continue
        if turn:
            messages.append(_assistant(turn))
            turn = []
        messages.append(message)
    if turn:
        messages.append(_assistant(turn))
    return messages


def _assistant(turn: list[Part]) -> Message:
    return Message(Role.ASSISTANT, tuple(turn), ext=keep({}))


def _read_into(turn: list[Part], item: Mapping[str, Json], number: int) -> None:
    """One item of the assistant's, behind those before it."""
    read = _read(item, number)
    turn.extend(part for _, part in read.parts)
    if read.signed is not None:
        attach(turn, read.signed)


def _read(item: Mapping[str, Json], number: int) -> Read:
    try:
        return read_item(item, number)
    except BrokenCall as error:
        raise RequestError(str(error), f"input[{number}].name") from error


SPEAKERS: dict[str, Role] = {
    "user": Role.USER,
    "system": Role.SYSTEM,
    "developer": Role.DEVELOPER,
    "assistant": Role.ASSISTANT,
}


def _whole_message(item: Mapping[str, Json], number: int) -> Message | None:
    """The message that this item is, None if it belongs to the assistant's turn."""
    kind = kind_of(item)
    role = item.get("role")
    if kind == MESSAGE:
        speaker = SPEAKERS.get(str(role))
        if speaker is None:
            raise RequestError(
                f"role must be one of {', '.join(SPEAKERS)}", f"input[{number}].role"
            )
        return None if speaker is Role.ASSISTANT else _spoken(item, speaker)
    if isinstance(role, str) and SPEAKERS.get(role, Role.ASSISTANT) is not Role.ASSISTANT:
        return Message(SPEAKERS[role], _read_parts(item, number), ext=keep({"@item": True}))
    if kind == "mcp_approval_response":
        return Message(Role.USER, _read_parts(item, number), ext=keep({"@item": True}))
    if not kind.endswith("_output"):
        return None
    parts = _read_parts(item, number)
    first = parts[0] if parts else None
    if not isinstance(first, ToolResultPart) or first.executor is Executor.PROVIDER:
        return None
    return Message(Role.TOOL, parts, ext=keep({}))


def _read_parts(item: Mapping[str, Json], number: int) -> tuple[Part, ...]:
    return tuple(part for _, part in _read(item, number).parts)


def _spoken(item: Mapping[str, Json], role: Role) -> Message:
    """A message of the user or the system; what it holds beside content stays in its residue."""
    values, residue = take(item, "content", "role")
    content = values.get("content")
    parts: tuple[Part, ...] = ()
    if isinstance(content, str):
        residue["@content"] = "text"
        parts = (TextPart(text=content, ext=keep({})),)
    elif isinstance(content, list):
        parts = tuple(decode_entry(entry) for entry in content)
    elif content is not None:
        residue["content"] = content
    return Message(role, parts, ext=keep(residue))
