"""Whole answers of the chat dialect, both directions.

A body with a good status may still tell of a failure: an error member, no choices, a choice that
ended with an error. None of these is ever decoded as a success (contract, section 4.8).
"""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json, Loss
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import ToolCallPart
from arno.canon.response import Choice, FinishReason, Response
from arno.dialects.arguments import with_arguments
from arno.dialects.base import Headers
from arno.dialects.chat.reasons import WHOLE, WORDS, canonical_reason, wire_reason
from arno.dialects.chat.residue import give, is_native, keep, note, number_of
from arno.dialects.chat.turn import LEGACY_CALL, decode_turn
from arno.dialects.chat.turn_encode import encode_turn
from arno.dialects.chat.usage import decode_usage, encode_usage
from arno.dialects.failures import decode_error, invalid
from arno.dialects.residue import Document, integer, take, text
from arno.dialects.text import clean
from arno.wire import json
from arno.wire.errors import MalformedJSON


def decode_response(body: bytes, headers: Headers = ()) -> Response | Failure:
    """A whole answer; leading padding is white space to JSON."""
    try:
        document = json.loads(body)
    except MalformedJSON:
        what = "an empty body" if not body.strip() else "no JSON"
        return invalid(f"upstream answered with {what}")
    if not isinstance(document, Mapping):
        return invalid("upstream answered with JSON that is no object")
    return _decode_document(document, headers)


def _decode_document(document: Mapping[str, Json], headers: Headers) -> Response | Failure:
    if document.get("error"):
        return decode_error(document["error"], Stage.BEFORE_OUTPUT, headers=headers)
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices:
        return invalid("upstream answered without choices")
    decoded: list[Choice] = []
    for position, choice in enumerate(choices):
        value = _decode_choice(choice, position, headers)
        if isinstance(value, Failure):
            return value
        decoded.append(value)
    values, residue = take(document, "id", "model", "provider", "created", "choices", "usage")
    return Response(
        id=text(values.get("id")),
        model=text(values.get("model")),
        served_by=text(values.get("provider")),
        created=integer(values.get("created")),
        choices=tuple(decoded),
        usage=decode_usage(values.get("usage")),
        ext=keep(residue),
    )


def _decode_choice(choice: Json, position: int, headers: Headers) -> Choice | Failure:
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(message, Mapping):
        return invalid(f"choice {position} has no message")
    if choice.get("error"):
        return decode_error(choice["error"], Stage.BEFORE_OUTPUT, headers=headers)
    word, native = text(choice.get("finish_reason")), text(choice.get("native_finish_reason"))
    parts, rest = decode_turn(message)
    if any(note(part.ext, "member") == "tool_calls" for part in parts):
        return invalid(f"choice {position} holds a tool call that cannot be read")
    has_calls = any(isinstance(part, ToolCallPart) for part in parts)
    reason = canonical_reason(word, native, has_calls=has_calls)
    if reason is None and has_calls:
        reason = FinishReason.TOOL_CALLS
    if reason in WHOLE:
        parts = tuple(with_arguments(part) for part in parts)
    if reason is FinishReason.ERROR:
        return Failure(
            FailureKind.SERVER,
            f"upstream ended the answer with an error ({clean(native or word or '')})",
            retryable=True,
            stage=Stage.BEFORE_OUTPUT,
        )
    residue = {k: v for k, v in choice.items() if k not in ("index", "message")}
    if word in WORDS:
        del residue["finish_reason"]
    return Choice(
        index=number_of(choice, position),
        parts=parts,
        reason=reason,
        native_reason=native or word,
        ext=keep({**residue, "message": rest}),
    )


def encode_response(response: Response) -> tuple[Document, tuple[Loss, ...]]:
    """The whole answer as a document, keys in the contract's order."""
    native = is_native(response.ext)
    document: Document = {
        "id": response.id,
        "object": "chat.completion",
        "created": response.created,
        "model": response.model,
        "provider": response.served_by,
    }
    document = {key: value for key, value in document.items() if value is not None}
    if native:
        document.pop("object")
    document.update(give(response.ext))
    losses: list[Loss] = []
    choices: list[Document] = []
    for choice in response.choices:
        encoded, lost = _encode_choice(choice)
        choices.append(encoded)
        losses.extend(lost)
    document["choices"] = choices
    if response.usage is not None:
        document["usage"] = encode_usage(response.usage)
    return document, tuple(losses)


def _encode_choice(choice: Choice) -> tuple[Document, list[Loss]]:
    native = is_native(choice.ext)
    document = give(choice.ext)
    rest = document.pop("message", {})
    kept = keep(rest) if native else {}
    path = f"/choices/{choice.index}"
    message, losses = encode_turn(enumerate(choice.parts), kept, path, to_client=True)
    message.setdefault("role", "assistant")
    document["index"] = choice.index
    if choice.reason is not None and not (native and "finish_reason" in document):
        legacy = any(note(part.ext, "member") == LEGACY_CALL for part in choice.parts)
        document["finish_reason"] = wire_reason(choice.reason, legacy=legacy)
    if not native:
        document["native_finish_reason"] = choice.native_reason
        document.setdefault("finish_reason", None)
    document["message"] = message
    return document, losses
