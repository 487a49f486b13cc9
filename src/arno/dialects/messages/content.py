"""Parts written as content blocks, of a request or of an answer.

What differs: requests carry reasoning artefacts of this wire's own format only and refuse media
they cannot carry; answers show a client everything there is a block for (see `artefacts`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from arno.canon.ext import Loss, is_empty
from arno.canon.ids import IdRule, from_wire, is_reversible, to_wire
from arno.canon.parts import (
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
from arno.dialects import tags
from arno.dialects.arguments import to_object
from arno.dialects.disclosure import foreign
from arno.dialects.messages.artefacts import written_sealed, written_signature
from arno.dialects.messages.blocks import RESULT, type_of
from arno.dialects.messages.citations import encode_citations
from arno.dialects.messages.media import encode_media
from arno.dialects.messages.residue import DIALECT, FORMAT, give, is_native, note, write_cache
from arno.dialects.residue import Document
from arno.wire import json

IDS = IdRule(most=64, extra="_-")
"""Ids of calls. Source: the API's own message, "should match pattern ^[a-zA-Z0-9_-]+$"."""
NAMES = IdRule(most=128, extra="_-")
"""Names of tools. Source: API reference, `tools.name`."""

Blocks = tuple[list[Document], list[Loss]]


def encode_parts(parts: Sequence[Part], path: str, *, to_client: bool) -> Blocks:
    """The blocks of a turn, and what they cannot say."""
    blocks: list[Document] = []
    losses: list[Loss] = []
    skip = False
    for number, part in enumerate(parts):
        where = f"{path}/parts/{number}"
        if skip:
            skip = False
            continue
        if not to_client and isinstance(part, ReasoningPart):
            part, skip = _with_later_signature(part, parts[number + 1 : number + 2])
        more, lost = encode_part(part, where, to_client=to_client)
        blocks.extend(more)
        losses.extend(lost)
    return blocks, losses


def _with_later_signature(
    part: ReasoningPart, following: Sequence[Part]
) -> tuple[ReasoningPart, bool]:
    """A text whose signature came as a part of its own, as streams of one contract send it."""
    after = following[0] if following else None
    if (
        not isinstance(after, ReasoningPart)
        or not after.signature
        or after.text
        or after.sealed
        or part.signature
        or not part.text
        or {part.format, after.format} != {FORMAT}
    ):
        return part, False
    return msgspec.structs.replace(part, signature=after.signature), True


def encode_part(part: Part, path: str, *, to_client: bool) -> Blocks:
    """The blocks of one part: none, one, or two where a signature stands behind its part."""
    blocks, losses = _ENCODERS[type(part)](part, path, to_client)
    if part.signature is not None and not isinstance(part, ReasoningPart):
        if to_client and blocks:
            blocks.append(signature_block(part, part.signature, part.format))
        else:
            losses.append(Loss(f"{path}/signature", "dropped", _ORIGIN))
    if not to_client:
        losses.extend(foreign(part.ext, DIALECT, path))
    return blocks, losses


_ORIGIN = "a reasoning artefact goes back to its origin only"


def signature_block(part: Part, signature: str, format_: str | None) -> Document:
    """The block behind the one of `part`, for a client to send back."""
    tag = tags.of_signature(part, signature, format_)
    return {"type": "redacted_thinking", "data": tags.write(tag)}


def _text(part: TextPart, path: str, to_client: bool) -> Blocks:
    native = is_native(part.ext)
    if not (to_client or native or part.text.strip()):
        # The wire refuses blocks without a word; one that was all white space is told as lost.
        why = "a messages request has no text of white space only"
        return [], [Loss(path, "dropped", why)] if part.text else []
    document: Document = {"type": "text", **give(part.ext)}
    if part.text or "text" not in document:
        document["text"] = part.text
    citations, losses = encode_citations(part.annotations, path, to_client=to_client)
    if citations:
        document["citations"] = citations
    return [write_cache(document, part.cache)], losses


def _refusal(part: RefusalPart, path: str, to_client: bool) -> Blocks:
    blocks, losses = _text(TextPart(text=part.text, cache=part.cache), path, to_client)
    if not blocks:
        return blocks, losses
    return blocks, [Loss(path, "approximated", "a refusal is told as text"), *losses]


def _reasoning(part: ReasoningPart, path: str, to_client: bool) -> Blocks:
    if not to_client and not _may_go_back(part):
        return [], [Loss(path, "dropped", _ORIGIN)]
    if not to_client:
        # Ids that other wires gave stay behind: upstreams read what they made, and no tags.
        part = msgspec.structs.replace(part, id=None, item=None)
    if part.sealed is None and part.form in (ReasoningForm.FULL, ReasoningForm.SUMMARY):
        return [_thinking(part)], []
    blocks = [_thinking(part)] if part.text or part.signature else []
    document: Document = {"type": "redacted_thinking", **give(part.ext)}
    if part.sealed or "data" not in document:
        document["data"] = written_sealed(part, part.sealed)
    return [*blocks, document], []


def _thinking(part: ReasoningPart) -> Document:
    document: Document = {"type": "thinking", **give(part.ext)}
    if part.text or "thinking" not in document:
        document["thinking"] = part.text
    if part.signature or not is_native(part.ext):
        document["signature"] = written_signature(part, part.signature, part.format)
    return document


def _may_go_back(part: ReasoningPart) -> bool:
    """True for what this wire itself made; unsigned text proves nothing to it."""
    proof = part.signature or part.sealed
    return is_native(part.ext) or (part.format == FORMAT and bool(proof))


def _call(part: ToolCallPart, path: str, to_client: bool) -> Blocks:
    type_ = call_type(part)
    if type_ is None:
        why = f"a call of {part.name} that another upstream ran has no block here"
        return [], [Loss(path, "dropped", why)]
    value, exact = to_object(part.arguments)
    document: Document = {
        "type": type_,
        **give(part.ext),
        "id": _written(part.call_id, IDS, to_client),
        "name": _written(part.name, NAMES, to_client),
        "input": value,
    }
    losses = [] if exact else [Loss(f"{path}/arguments", "approximated", _NO_OBJECT)]
    if not to_client and not is_reversible(part.call_id, IDS):
        losses.append(Loss(f"{path}/call_id", "renamed", _TOO_LONG))
    if part.kind != "function":
        why = "a call of another kind is told as one of a function"
        losses.append(Loss(f"{path}/kind", "approximated", why))
    if part.namespace is not None and type_ == "mcp_tool_use":
        document["server_name"] = part.namespace
    elif part.namespace is not None:
        losses.append(Loss(f"{path}/namespace", "dropped", "a messages tool has no name space"))
    return [write_cache(document, part.cache)], losses


def _written(text: str, rule: IdRule, to_client: bool) -> str:
    """An id or a name; a client sees those of the upstream, but for what reads as an escape."""
    return text if to_client and from_wire(text) == text else to_wire(text, rule)


_NO_OBJECT = "arguments that are no JSON object are wrapped into one"
_TOO_LONG = "an id that is too long for the wire is replaced by its digest"


def call_type(part: ToolCallPart) -> str | None:
    """The type of the block for a call, None for a foreign one that its own upstream ran.

    The wire has a block for those of its own upstreams, which must be followed by a result that
    only they can make: sent back without one, the next request would be refused.
    """
    own = type_of(part)
    return "tool_use" if own is None and part.executor is Executor.CLIENT else own


def _result(part: ToolResultPart, path: str, to_client: bool) -> Blocks:
    own = type_of(part)
    if own is None and part.executor is Executor.PROVIDER:
        why = "a result that another upstream made itself has no block here"
        return [], [Loss(path, "dropped", why)]
    document: Document = {
        "type": own or RESULT,
        **give(part.ext),
        "tool_use_id": _written(part.call_id, IDS, to_client),
    }
    losses: list[Loss] = []
    if own is not None:
        if part.value is not None:
            document["content"] = part.value
    else:
        losses = _write_content(document, part, path, to_client)
    if part.is_error is not None:
        document["is_error"] = part.is_error
    return [write_cache(document, part.cache)], losses


def _write_content(
    document: Document, part: ToolResultPart, path: str, to_client: bool
) -> list[Loss]:
    """What a client's tool gave: a text, blocks, or a document told as its JSON text."""
    parts, told = part.parts, []
    if not parts and not is_empty(part.value):
        parts = (TextPart(text=json.dumps(part.value).decode()),)
        told = [Loss(f"{path}/value", "approximated", "a document is told as its JSON text")]
    first = parts[0] if len(parts) == 1 else None
    plain = isinstance(first, TextPart) and not (first.ext or first.cache or first.annotations)
    if isinstance(first, TextPart) and plain and (note(part.ext, "content") or first.text.strip()):
        document["content"] = first.text
        return told
    blocks, losses = encode_parts(parts, path, to_client=to_client)
    if blocks:
        document["content"] = blocks
    return told + losses


def _media(part: MediaPart, path: str, to_client: bool) -> Blocks:
    if to_client:
        return [], [Loss(path, "dropped", "a messages answer holds no media")]
    document, losses = encode_media(part, path)
    return [document], losses


def _opaque(part: OpaquePart, path: str, to_client: bool) -> Blocks:
    if part.dialect == DIALECT:
        return [part.document], []
    return [], [Loss(path, "dropped", f"a document of {part.dialect} goes back to it only")]


_ENCODERS: dict[type, Callable[[Any, str, bool], Blocks]] = {
    TextPart: _text,
    RefusalPart: _refusal,
    ReasoningPart: _reasoning,
    ToolCallPart: _call,
    ToolResultPart: _result,
    MediaPart: _media,
    OpaquePart: _opaque,
}
