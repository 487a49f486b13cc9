"""Whole answers of the converse dialect, both directions.

The wire has no place for an id, a model, who served and when: `id`, `model`, `provider` and
`created` beside `output` are extension members, which SDKs do not read. Source: API reference,
"Converse", response elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.ext import Json, Loss
from arno.canon.failure import Failure, Stage
from arno.canon.parts import OpaquePart, Part, ToolCallPart, is_client_call
from arno.canon.response import Choice, FinishReason, Response
from arno.dialects.arguments import with_arguments
from arno.dialects.base import Headers
from arno.dialects.converse.blocks_decode import (
    NO_ARGUMENTS,
    Arguments,
    arguments_of,
    decode_blocks,
    is_call_of,
)
from arno.dialects.converse.blocks_encode import encode_parts
from arno.dialects.converse.failures import ERROR_TYPE, decode_error
from arno.dialects.converse.reasons import WHOLE, canonical_reason, wire_reason
from arno.dialects.converse.residue import give, is_native, keep
from arno.dialects.converse.turns import provided
from arno.dialects.converse.usage import decode_usage, encode_usage, tier_of
from arno.dialects.converse.writing import Writing
from arno.dialects.failures import invalid
from arno.dialects.residue import Document, integer, merge, take, text
from arno.dialects.text import clean
from arno.wire import json
from arno.wire.errors import MalformedJSON


class _Message(msgspec.Struct):
    content: Raw = Raw(b"[]")


class _Output(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct):
    """The way to the content, which is read as text for the inputs of its calls."""

    output: _Output


_ANSWER: msgspec.json.Decoder[_Answer] = msgspec.json.Decoder(_Answer)


def decode_response(body: bytes, headers: Headers = ()) -> Response | Failure:
    """A whole answer with a good status; an exception in it is told as a failure."""
    try:
        document = json.loads(body)
    except MalformedJSON:
        what = "an empty body" if not body.strip() else "no JSON"
        return invalid(f"upstream answered with {what}")
    if not isinstance(document, Mapping):
        return invalid("upstream answered with JSON that is no object")
    name = dict(headers).get(ERROR_TYPE, "")
    if name or ("output" not in document and (document.get("__type") or document.get("message"))):
        return decode_error(document, name, Stage.BEFORE_OUTPUT, headers=headers)
    return _decode_document(document, _arguments(body))


def ended_badly(word: str, stage: Stage) -> Failure:
    """The upstream says that what it made cannot be used."""
    return invalid(f"upstream ended the answer with an error ({clean(word)})", stage)


def _arguments(body: bytes) -> Arguments:
    try:
        return arguments_of(_ANSWER.decode(body).output.message.content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return NO_ARGUMENTS


def _decode_document(document: Mapping[str, Json], arguments: Arguments) -> Response | Failure:
    output = document.get("output")
    message = output.get("message") if isinstance(output, Mapping) else None
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(output, Mapping) or not isinstance(message, Mapping):
        return invalid("upstream answered without a message")
    if not isinstance(content, list):
        return invalid("the content of the upstream's message is no array")
    values, residue = take(document, "id", "model", "provider", "created", "usage", "stopReason")
    rest = {k: v for k, v in message.items() if k != "content"}
    residue["output"] = {**{k: v for k, v in output.items() if k != "message"}, "message": rest}
    parts = provided(decode_blocks(content, arguments))
    if any(map(is_unreadable, parts)):
        return invalid("upstream's answer holds a tool call that cannot be read")
    choice = _decode_choice(parts, values.get("stopReason"))
    if isinstance(choice, Failure):
        return choice
    return Response(
        id=text(values.get("id")),
        model=text(values.get("model")),
        served_by=text(values.get("provider")),
        created=integer(values.get("created")),
        choices=(choice,),
        usage=decode_usage(values.get("usage"), document.get("serviceTier")),
        ext=keep(residue),
    )


def _decode_choice(parts: list[Part], word: Json) -> Choice | Failure:
    native = text(word)
    has_calls = any(map(is_client_call, parts))
    reason: FinishReason | None = FinishReason.TOOL_CALLS if has_calls else None
    if native is not None:
        reason = canonical_reason(native, has_calls=has_calls)
    if reason is FinishReason.ERROR:
        return ended_badly(native or "", Stage.BEFORE_OUTPUT)
    if reason in WHOLE:
        parts = [with_arguments(part) for part in parts]
    return Choice(parts=tuple(parts), reason=reason, native_reason=native, ext=keep({}))


def is_unreadable(part: Part) -> bool:
    """True for a call that the client should run, and cannot: it has no id or no name."""
    if isinstance(part, OpaquePart):
        return is_call_of(part.document)
    return isinstance(part, ToolCallPart) and not (part.call_id and part.name)


def encode_response(response: Response) -> tuple[Document, tuple[Loss, ...]]:
    """The whole answer as a document; of several choices the first."""
    writing = Writing(to_client=True)
    document: Document = head_of(response)
    document.update(give(response.ext))
    choice = response.choices[0] if response.choices else Choice()
    for other in response.choices[1:]:
        writing.drop(f"/choices/{other.index}", "the wire gives one answer to a request")
    kept = document.pop("output", {})
    document["output"] = dict(kept) if isinstance(kept, Mapping) else {}
    content = encode_parts(choice.parts, f"/choices/{choice.index}", writing)
    message: dict[str, Any] = {"content": content}
    if not is_native(response.ext):
        message = {"role": "assistant", "content": content}
    merge(document["output"], "message", message)
    word = reason_of(choice)
    if word is not None:
        document["stopReason"] = word
    if response.usage is not None:
        document["usage"] = encode_usage(response.usage)
        tier = response.usage.tier
        if tier is not None and tier_of(document.get("serviceTier")) != tier:
            document["serviceTier"] = {"type": tier}
    return document, tuple(writing.losses)


def head_of(response: Response) -> Document:
    """The extension members that say who answered, as far as it is known."""
    members = {
        "id": response.id,
        "model": response.model,
        "provider": response.served_by,
        "created": response.created,
    }
    return {key: value for key, value in members.items() if value is not None}


def reason_of(choice: Choice) -> str | None:
    """The wire's word for why a choice ended; of this dialect's own answers the word that came."""
    if is_native(choice.ext) or choice.reason is None:
        return choice.native_reason if is_native(choice.ext) else None
    return wire_reason(choice.reason, choice.native_reason)
