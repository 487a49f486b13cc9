"""Content blocks: what one block of a turn or of an answer means.

A block of a kind that no table here knows, or with members of a type it cannot have, is a document
of this dialect (R14). Source: SDK types of content blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw

from arno.canon.ext import Json
from arno.canon.ids import from_wire
from arno.canon.parts import (
    Executor,
    OpaquePart,
    Part,
    ReasoningForm,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.dialects import tags
from arno.dialects.arguments import from_object
from arno.dialects.messages.artefacts import TAG
from arno.dialects.messages.citations import decode_citation
from arno.dialects.messages.media import KINDS, decode_media
from arno.dialects.messages.residue import DIALECT, FORMAT, keep, note, take_cache
from arno.dialects.residue import all_text, take
from arno.wire import json

CALLS: dict[str, Executor] = {
    "tool_use": Executor.CLIENT,
    "server_tool_use": Executor.PROVIDER,
    "mcp_tool_use": Executor.PROVIDER,
}
"""Blocks that call a tool, and who runs it."""

RESULT = "tool_result"
SERVER_RESULT = "_tool_result"
"""How the types of results end that the upstream made itself; what stands before is the tool."""


SIGNED = (TextPart, ToolCallPart)
"""Parts that a block behind them may hold the signature of."""


class _Input(msgspec.Struct, gc=False):
    input: Raw = Raw()


class _Content(msgspec.Struct, gc=False):
    content: Raw = Raw()


class _Conversation(msgspec.Struct, gc=False):
    messages: list[_Content]


_INPUTS: msgspec.json.Decoder[list[_Input]] = msgspec.json.Decoder(list[_Input])
_ANSWER = msgspec.json.Decoder(_Content)
_REQUEST = msgspec.json.Decoder(_Conversation)
_INPUT = b'"input"'


def inputs_of_answer(body: bytes) -> list[Raw]:
    """The arguments of an answer's blocks as they stand in it, one for each block."""
    return _inputs(_ANSWER.decode(body)) if body.find(_INPUT) >= 0 else []


def inputs_of_request(body: bytes) -> list[list[Raw]]:
    """The same of every message, given that `messages` is an array of objects."""
    if body.find(_INPUT) < 0:
        return []
    return [_inputs(message) for message in _REQUEST.decode(body).messages]


def _inputs(content: _Content) -> list[Raw]:
    """Empty for content that is no array of objects: what stands there is told elsewhere."""
    try:
        return [block.input for block in _INPUTS.decode(content.content)]
    except msgspec.DecodeError:
        return []


def decode_blocks(blocks: list[Json], inputs: list[Raw]) -> tuple[Part, ...]:
    """Parts of a content array; a tagged signature goes to the part before it."""
    parts: list[Part] = []
    for number, block in enumerate(blocks):
        behind = tagged_signature(block)
        if behind is not None and parts and isinstance(parts[-1], SIGNED):
            parts[-1] = behind.sign(parts[-1])
            continue
        raw = inputs[number] if number < len(inputs) else None
        parts.append(decode_block(block, raw))
    return tuple(parts)


def tagged_signature(block: Json) -> tags.Tag | None:
    """The tag of a block that only holds the signature of another."""
    if not isinstance(block, Mapping) or block.get("type") != "redacted_thinking":
        return None
    data = block.get("data")
    tag = tags.read(data) if isinstance(data, str) else None
    if tag is None or tag.on is None or tag.signature is None:
        return None
    return tag


def decode_block(block: Json, raw: Raw | None = None) -> Part:
    """One block. raw: its arguments as they stand in the document, if they are at hand."""
    if isinstance(block, Mapping):
        part = _decode_known(block, raw)
        if part is not None:
            return part
    return OpaquePart(dialect=DIALECT, document=block)


def _decode_known(block: Mapping[str, Json], raw: Raw | None) -> Part | None:
    type_ = str(block.get("type"))
    if type_ in CALLS:
        return _decode_call(block, type_, raw)
    if type_ != RESULT and type_.endswith(SERVER_RESULT):
        return _decode_server_result(block, type_)
    decoder = _DECODERS.get(type_)
    return decoder(block) if decoder else None


def _decode_text(block: Mapping[str, Json]) -> Part | None:
    values, residue = take(block, "type", "text", "citations")
    text, citations = values.get("text", ""), values.get("citations", [])
    if not isinstance(text, str) or not isinstance(citations, list):
        return None
    annotations = tuple(map(decode_citation, citations))
    cache = take_cache(residue)
    return TextPart(text=text, annotations=annotations, cache=cache, ext=keep(residue))


def _decode_thinking(block: Mapping[str, Json]) -> Part | None:
    values, residue = take(block, "type", "thinking", "signature")
    if not all_text(values):
        return None
    signature, text, beside = values.get("signature"), values.get("thinking", ""), block.get(TAG)
    tag = tags.read(signature or (beside if isinstance(beside, str) else ""))
    if tag is not None and tag.on is None:
        return tag.reasoning(text)
    return ReasoningPart(text=text, signature=signature, format=FORMAT, ext=keep(residue))


def _decode_redacted(block: Mapping[str, Json]) -> Part | None:
    values, residue = take(block, "type", "data")
    if not all_text(values):
        return None
    data = values.get("data")
    tag = tags.read(data) if data else None
    if tag is not None and tag.on is None:
        return tag.reasoning()
    return ReasoningPart(form=ReasoningForm.REDACTED, sealed=data, format=FORMAT, ext=keep(residue))


def _decode_call(block: Mapping[str, Json], type_: str, raw: Raw | None) -> Part | None:
    values, residue = take(block, "type", "id", "name", "server_name")
    if not all_text(values) or "name" not in values:
        return None
    value = residue.pop("input", None)
    cache = take_cache(residue)
    own = {} if type_ == "tool_use" else {"@type": type_}
    return ToolCallPart(
        call_id=from_wire(values.get("id", "")),
        name=from_wire(values["name"]),
        arguments=from_object(json.dumps(value) if raw is None else raw),
        executor=CALLS[type_],
        namespace=values.get("server_name"),
        cache=cache,
        ext=keep({**residue, **own}),
    )


def _decode_server_result(block: Mapping[str, Json], type_: str) -> Part | None:
    values, residue = take(block, "type", "tool_use_id", "content")
    call_id, is_error = values.get("tool_use_id", ""), residue.get("is_error")
    if not isinstance(call_id, str):
        return None
    if isinstance(is_error, bool):
        del residue["is_error"]
    cache = take_cache(residue)
    return ToolResultPart(
        call_id=from_wire(call_id),
        name=type_.removesuffix(SERVER_RESULT),
        value=values.get("content"),
        is_error=is_error if isinstance(is_error, bool) else None,
        executor=Executor.PROVIDER,
        cache=cache,
        ext=keep({**residue, "@type": type_}),
    )


def decode_result(block: Mapping[str, Json]) -> ToolResultPart | None:
    """A tool result of the client; its content is a text or blocks."""
    values, residue = take(block, "type", "tool_use_id", "content")
    call_id, is_error = values.get("tool_use_id", ""), residue.get("is_error")
    content = values.get("content", [])
    if not isinstance(call_id, str) or not isinstance(content, str | list):
        return None
    if isinstance(is_error, bool):
        del residue["is_error"]
    if isinstance(content, str):
        residue["@content"] = "text"
    cache = take_cache(residue)
    return ToolResultPart(
        call_id=from_wire(call_id),
        parts=decode_content(content),
        is_error=is_error if isinstance(is_error, bool) else None,
        cache=cache,
        ext=keep(residue),
    )


def decode_content(content: str | list[Json]) -> tuple[Part, ...]:
    """Parts of content without calls: a text, or blocks."""
    if isinstance(content, str):
        return (TextPart(text=content),)
    return tuple(decode_block(block) for block in content)


_DECODERS: dict[str, Callable[[Mapping[str, Json]], Part | None]] = {
    "text": _decode_text,
    "thinking": _decode_thinking,
    "redacted_thinking": _decode_redacted,
    RESULT: decode_result,
    **dict.fromkeys(KINDS, decode_media),
}


def type_of(part: ToolCallPart | ToolResultPart) -> str | None:
    """The type of the block that the part was, None if it was none of this dialect's own tools."""
    type_ = note(part.ext, "type")
    return type_ if isinstance(type_, str) else None


def is_call_of(document: Json) -> bool:
    """True for a document of this dialect that should have been a call for the client to run."""
    return isinstance(document, Mapping) and document.get("type") == "tool_use"
