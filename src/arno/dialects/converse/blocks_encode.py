"""Parts to content blocks.

In a request, reasoning goes back only to those who can read its proof (R18), and media that cannot
be shown refuse the request. In an answer everything is shown: artefacts of other wires are tagged
(`arno.dialects.tags`), summaries carry the extension member `form`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from arno.canon.ext import Json
from arno.canon.ids import is_reversible, to_wire
from arno.canon.parts import (
    CacheHint,
    Executor,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.dialects.arguments import to_object
from arno.dialects.converse.artefacts import (
    OWN_FORMAT,
    written_behind,
    written_sealed,
    written_signature,
)
from arno.dialects.converse.citations import encode_cited
from arno.dialects.converse.media import encode_media
from arno.dialects.converse.residue import CALL_IDS, DIALECT, give, is_native, note, residue_of
from arno.dialects.converse.writing import Writing
from arno.dialects.disclosure import foreign
from arno.dialects.residue import Document
from arno.wire import json
from arno.wire.errors import MalformedJSON

TTLS = frozenset({None, "5m", "1h"})
"""Lifetimes of a cache that the wire can say."""


def encode_parts(parts: Sequence[Part], path: str, writing: Writing) -> list[Json]:
    """Blocks for the parts of one message; path: of the message in the canonical value."""
    blocks: list[Json] = []
    for number, part in enumerate(parts):
        blocks += encode_part(part, f"{path}/parts/{number}", writing)
    return blocks


def encode_part(part: Part, path: str, writing: Writing) -> list[Json]:
    """The block of one part, none if it cannot be shown, a cache point behind it."""
    blocks = _ENCODERS[type(part)](part, path, writing)
    if not writing.to_client:
        writing.losses += foreign(part.ext, DIALECT, path)
    if not blocks:
        return []
    if part.signature is not None and not isinstance(part, ReasoningPart):
        blocks += _signature_of(part, path, writing)
    hint = part.cache or _inner_hint(part, path, writing)
    if hint is not None:
        blocks.append(cache_point(hint, path, writing))
    return blocks


def _inner_hint(part: Part, path: str, writing: Writing) -> CacheHint | None:
    """A breakpoint inside a result, which has no place there: it stands behind the result."""
    inner = part.parts if isinstance(part, ToolResultPart) else ()
    hints = [one.cache for one in inner if one.cache is not None]
    if hints:
        writing.approximate(f"{path}/parts", "a cache point stands behind the whole result")
    return hints[-1] if hints else None


def cache_point(hint: CacheHint, path: str, writing: Writing) -> Document:
    """The block that marks a cache breakpoint."""
    point: Document = {"type": "default"}
    if hint.ttl in TTLS:
        if hint.ttl is not None:
            point["ttl"] = hint.ttl
    else:
        writing.approximate(f"{path}/cache", "a cache of this wire lives for 5m or 1h")
    return {"cachePoint": point}


def _signature_of(part: Part, path: str, writing: Writing) -> list[Json]:
    """A signature on what is no reasoning: shown to clients, of no use to an upstream."""
    if not writing.to_client:
        writing.drop(f"{path}/signature", "a signature goes back to its origin only")
        return []
    redacted = written_behind(part, part.signature, part.format)
    return [{"reasoningContent": {"redactedContent": redacted}}]


def _text(part: TextPart, path: str, writing: Writing) -> list[Json]:
    block = note(part.ext, "block")
    if block == "guardContent":
        return [{"guardContent": {"text": {**give(part.ext), "text": part.text}}}]
    if block == "json":
        return [{"json": _value_of(part.text)}]
    if block == "citationsContent" or (writing.to_client and part.annotations):
        return [encode_cited(part, path, writing)]
    if part.annotations:
        writing.drop(f"{path}/annotations", "a request of this dialect cites nothing")
    if not part.text and not is_native(part.ext):
        return []
    return [{"text": part.text}]


def _value_of(text: str) -> Json:
    try:
        return json.loads(text)
    except MalformedJSON:
        return text


def _refusal(part: RefusalPart, path: str, writing: Writing) -> list[Json]:
    if not part.text:
        return []
    writing.approximate(path, "a refusal is told as text")
    return [{"text": part.text}]


def _reasoning(part: ReasoningPart, path: str, writing: Writing) -> list[Json]:
    native = is_native(part.ext)
    if not writing.to_client and not native:
        proven = part.signature is not None or part.sealed is not None
        if not proven or part.format != OWN_FORMAT:
            writing.drop(path, "reasoning goes back to its origin only")
            return []
    blocks: list[Json] = []
    if part.text or part.signature is not None or (native and part.sealed is None):
        blocks.append({"reasoningContent": {"reasoningText": reasoning_text(part)}})
    if part.sealed is not None:
        form = ReasoningForm.REDACTED if part.form is ReasoningForm.REDACTED else part.form
        if not writing.to_client:
            form = ReasoningForm.REDACTED
        redacted = written_sealed(part.sealed, form, part.format)
        blocks.append({"reasoningContent": {"redactedContent": redacted}})
    return blocks


def reasoning_text(part: ReasoningPart) -> Document:
    """The inner document of readable reasoning."""
    document: Document = {**give(part.ext), "text": part.text}
    told: str | None = None
    if part.signature is not None:
        document["signature"] = written_signature(part.signature, part.format)
        told = part.format
    if part.format != told and not is_native(part.ext):
        document["format"] = part.format
    if part.form is ReasoningForm.SUMMARY:
        document["form"] = part.form.value
    return document


def _call(part: ToolCallPart, path: str, writing: Writing) -> list[Json]:
    if part.executor is Executor.PROVIDER and not is_native(part.ext):
        writing.drop(path, "a tool that another provider ran")
        return []
    if part.namespace is not None:
        writing.drop(f"{path}/namespace", "a tool of this wire has no name space")
    if part.kind != "function":
        writing.approximate(f"{path}/kind", "a call of text is told as one of an object")
    raw, exact = to_object(part.arguments)
    if not exact:
        writing.approximate(f"{path}/arguments", "arguments that are no JSON object are wrapped")
    document: Document = {
        **give(part.ext),
        "toolUseId": wire_id(part, path, writing),
        "name": part.name,
        "input": raw,
    }
    return [{"toolUse": document}]


def wire_id(part: ToolCallPart | ToolResultPart, path: str, writing: Writing) -> str:
    """The id of a call under the wire's rule."""
    noted = note(part.ext, "id")
    if isinstance(noted, str):
        return noted
    if not is_reversible(part.call_id, CALL_IDS):
        writing.rename(
            f"{path}/call_id", "an id that is too long for this wire is told as a digest"
        )
    return to_wire(part.call_id, CALL_IDS)


def _result(part: ToolResultPart, path: str, writing: Writing) -> list[Json]:
    if part.executor is Executor.PROVIDER and not is_native(part.ext):
        writing.drop(path, "a tool that another provider ran")
        return []
    document: Document = {**give(part.ext), "toolUseId": wire_id(part, path, writing)}
    document["content"] = _result_content(part, path, writing)
    if part.is_error is not None:
        document["status"] = "error" if part.is_error else "success"
    return [{"toolResult": document}]


RESULTS = (TextPart, RefusalPart, MediaPart, OpaquePart)
"""Parts that the content of a result can hold."""


def _result_content(part: ToolResultPart, path: str, writing: Writing) -> list[Json]:
    if part.value is not None and not part.parts:
        if isinstance(part.value, dict) or is_native(part.ext):
            return [{"json": part.value}]
        return [{"text": json.dumps(part.value).decode()}]
    blocks: list[Json] = []
    for number, inner in enumerate(part.parts):
        where = f"{path}/parts/{number}"
        if isinstance(inner, RESULTS):
            bare = msgspec.structs.replace(inner, cache=None)
            blocks += encode_part(bare, where, writing)
        else:
            writing.drop(where, "the result of a tool holds text, documents and media only")
    return blocks


def _media(part: MediaPart, path: str, writing: Writing) -> list[Json]:
    block = encode_media(part, path, writing)
    if block is None:
        return []
    guarded = residue_of(part.ext).get("@block") == "guardContent"
    return [{"guardContent": block} if guarded else block]


def _opaque(part: OpaquePart, path: str, writing: Writing) -> list[Json]:
    if part.dialect == DIALECT:
        return [part.document]
    writing.drop(path, f"a document of {part.dialect} goes back to it only")
    return []


_ENCODERS: dict[type, Callable[[Any, str, Writing], list[Json]]] = {
    TextPart: _text,
    RefusalPart: _refusal,
    ReasoningPart: _reasoning,
    ToolCallPart: _call,
    ToolResultPart: _result,
    MediaPart: _media,
    OpaquePart: _opaque,
}
