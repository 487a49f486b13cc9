"""Content blocks to parts. A block is an object with one member, which names its kind.

`cachePoint` is no content: it is the cache hint of the part before it. What is not known, or says
more than a part can hold, stays a document of this dialect. Source: API reference, ContentBlock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.ext import Json
from arno.canon.ids import from_wire, to_wire
from arno.canon.parts import (
    CacheHint,
    Executor,
    OpaquePart,
    Part,
    ReasoningForm,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.dialects.arguments import from_object
from arno.dialects.converse.artefacts import OWN_FORMAT, read_redacted, read_signature
from arno.dialects.converse.citations import decode_citations
from arno.dialects.converse.media import decode_media
from arno.dialects.converse.residue import CALL_IDS, DIALECT, keep
from arno.dialects.residue import Document, take
from arno.dialects.tags import Tag
from arno.wire import json

SERVER_TOOL = "server_tool_use"
"""Type of a call that the provider runs."""

STATUSES: dict[str, bool] = {"success": False, "error": True}

Arguments = Mapping[int, Raw]
"""Place of a block to the JSON text of its call's input."""

NO_ARGUMENTS: Arguments = {}
_TURNS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[dict[str, Raw]])
_BLOCKS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[dict[str, Raw]])
_MEMBERS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict[str, Raw])


def arguments_of(content: Raw | bytes) -> Arguments:
    """The inputs of the calls in a content array, as they stand in its text."""
    if bytes(content).find(b'"toolUse"') < 0:
        return NO_ARGUMENTS
    found: dict[int, Raw] = {}
    try:
        for place, block in enumerate(_BLOCKS.decode(content)):
            if "toolUse" in block:
                found[place] = _MEMBERS.decode(block["toolUse"]).get("input", Raw(b""))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # not of the usual form: the values are written anew
    return found


def arguments_of_turns(messages: Raw | bytes) -> list[Arguments]:
    """`arguments_of` for each message of an array of them, [] if it is none."""
    try:
        return [arguments_of(turn.get("content", Raw(b""))) for turn in _TURNS.decode(messages)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []


def decode_blocks(blocks: Sequence[Json], arguments: Arguments = NO_ARGUMENTS) -> list[Part]:
    """Parts of a content array."""
    parts: list[Part] = []
    for place, block in enumerate(blocks):
        hint = _cache_point(block)
        if hint is not None and parts and parts[-1].cache is None:
            parts[-1] = msgspec.structs.replace(parts[-1], cache=hint)
            continue
        found = decode_block(block, arguments.get(place))
        if isinstance(found, Tag):
            if parts:
                parts[-1] = found.sign(parts[-1])
        else:
            parts.append(found)
    return parts


def _cache_point(block: Json) -> CacheHint | None:
    point = block.get("cachePoint") if isinstance(block, Mapping) and len(block) == 1 else None
    if not isinstance(point, Mapping) or point.get("type") != "default":
        return None
    if point.keys() - {"type", "ttl"} or not isinstance(point.get("ttl", ""), str):
        return None
    return CacheHint(ttl=point.get("ttl"))


def decode_block(block: Json, arguments: Raw | None = None) -> Part | Tag:
    """One block; a Tag is the signature of the part before it."""
    found: Part | Tag | None = None
    if isinstance(block, Mapping) and len(block) == 1:
        ((kind, inner),) = block.items()
        if kind == "toolUse":
            found = _call(inner, arguments)
        elif kind in _DECODERS:
            found = _DECODERS[kind](inner)
    return OpaquePart(dialect=DIALECT, document=block) if found is None else found


def _text(inner: Json) -> TextPart | None:
    return TextPart(text=inner, ext=keep({})) if isinstance(inner, str) else None


def _call(inner: Json, arguments: Raw | None) -> ToolCallPart | None:
    if not isinstance(inner, Mapping):
        return None
    values, residue = take(inner, "toolUseId", "name")
    id_, name = values.get("toolUseId"), values.get("name")
    if not isinstance(id_, str) or not isinstance(name, str):
        return None
    value = residue.pop("input", None)
    raw = Raw(json.dumps(value)) if arguments is None else arguments
    if bytes(raw).find(b"\n") >= 0:
        raw = Raw(msgspec.json.format(bytes(raw), indent=-1))
    return ToolCallPart(
        call_id=call_id(id_, residue),
        name=name,
        arguments=from_object(raw),
        executor=executor_of(inner.get("type")),
        ext=keep(residue),
    )


def is_call_of(document: Json) -> bool:
    """True for a block of this dialect that should have been a call for the client to run."""
    inner = document.get("toolUse") if isinstance(document, Mapping) else None
    type_ = inner.get("type") if isinstance(inner, Mapping) else None
    return inner is not None and executor_of(type_) is Executor.CLIENT


def executor_of(kind: Json) -> Executor:
    """Who runs a call of this type."""
    return Executor.PROVIDER if kind == SERVER_TOOL else Executor.CLIENT


def call_id(wire: str, residue: Document) -> str:
    """The id that stands on the wire as `wire`; one that no encoder of ours writes is noted."""
    found = from_wire(wire)
    if to_wire(found, CALL_IDS) != wire:
        residue["@id"] = wire
    return found


def _result(inner: Json) -> ToolResultPart | None:
    if not isinstance(inner, Mapping):
        return None
    values, residue = take(inner, "toolUseId")
    id_, content = values.get("toolUseId"), residue.pop("content", None)
    if not isinstance(id_, str) or not isinstance(content, list):
        return None
    status = residue.get("status")
    is_error = STATUSES.get(status) if isinstance(status, str) else None
    if is_error is not None:
        del residue["status"]
    alone = content[0] if len(content) == 1 else None
    value: Json = None
    if isinstance(alone, Mapping) and alone.keys() == {"json"} and alone["json"] is not None:
        value, content = alone["json"], []
    return ToolResultPart(
        call_id=call_id(id_, residue),
        parts=tuple(result_part(block) for block in content),
        value=value,
        is_error=is_error,
        ext=keep(residue),
    )


def result_part(block: Json) -> Part:
    """A document among other content is told as its text."""
    if isinstance(block, Mapping) and block.keys() == {"json"}:
        return TextPart(text=json.dumps(block["json"]).decode(), ext=keep({"@block": "json"}))
    part = decode_block(block)
    return OpaquePart(dialect=DIALECT, document=block) if isinstance(part, Tag) else part


def _reasoning(inner: Json) -> ReasoningPart | Tag | None:
    if not isinstance(inner, Mapping) or len(inner) != 1:
        return None
    redacted = inner.get("redactedContent")
    if isinstance(redacted, str):
        return read_redacted(redacted)
    said = inner.get("reasoningText")
    if not isinstance(said, Mapping) or not isinstance(said.get("text"), str):
        return None
    values, residue = take(said, "signature", "form", "format")
    del residue["text"]
    form = values.get("form", ReasoningForm.FULL.value)
    if not all(isinstance(value, str) for value in values.values()) or form not in FORMS:
        return None
    tag = read_signature(values["signature"]) if "signature" in values else Tag()
    format_ = tag.format or values.get("format")
    native = not ("form" in values or "format" in values or format_ not in (None, OWN_FORMAT))
    return msgspec.structs.replace(
        tag.reasoning(said["text"]),
        form=ReasoningForm(form) if "form" in values else tag.form,
        format=format_,
        ext=keep(residue) if native else {},
    )


FORMS = frozenset({ReasoningForm.FULL.value, ReasoningForm.SUMMARY.value})
"""Forms of a readable text; the extension member `form` says the second."""


def _guarded(inner: Json) -> Part | None:
    """Content that a guardrail looks at: the text or image itself, which every model reads."""
    if not isinstance(inner, Mapping) or len(inner) != 1:
        return None
    ((kind, content),) = inner.items()
    if kind == "text" and isinstance(content, Mapping) and isinstance(content.get("text"), str):
        residue = {k: v for k, v in content.items() if k != "text"}
        return TextPart(text=content["text"], ext=keep({**residue, "@block": "guardContent"}))
    part = decode_media("image", content) if kind == "image" else None
    if part is None:
        return None
    kept = {**part.ext[DIALECT], "@block": "guardContent"}
    return msgspec.structs.replace(part, ext=keep(kept))


_DECODERS: dict[str, Callable[[Json], Part | Tag | None]] = {
    "text": _text,
    "image": lambda inner: decode_media("image", inner),
    "document": lambda inner: decode_media("document", inner),
    "video": lambda inner: decode_media("video", inner),
    "audio": lambda inner: decode_media("audio", inner),
    "toolResult": _result,
    "reasoningContent": _reasoning,
    "guardContent": _guarded,
    "citationsContent": decode_citations,
}
"""Kind of a block to what reads its inner document; calls are read with their text beside."""
