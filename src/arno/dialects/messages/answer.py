"""Whole answers of the messages dialect, both directions.

A body with a good status may still tell of a failure, and what is no message is none either.
The model's host stands in the contract's member `provider`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arno.canon.ext import Json, Loss
from arno.canon.failure import Failure, Stage
from arno.canon.parts import Executor, OpaquePart, Part, ToolCallPart, is_client_call
from arno.canon.response import Choice, Response
from arno.dialects.arguments import with_arguments
from arno.dialects.base import Headers
from arno.dialects.failures import invalid
from arno.dialects.messages.blocks import decode_blocks, inputs_of_answer, is_call_of
from arno.dialects.messages.content import encode_parts
from arno.dialects.messages.failures import decode_error
from arno.dialects.messages.reasons import CANONICAL, WHOLE, canonical_reason, wire_reason
from arno.dialects.messages.residue import give, is_native, keep
from arno.dialects.messages.usage import decode_usage, encode_usage
from arno.dialects.residue import Document, take, text
from arno.wire import json
from arno.wire.errors import MalformedJSON

ENDING = ("stop_reason", "stop_sequence", "stop_details", "container", "context_management")
"""Members that say how the answer ended: they stand in a stream's `message_delta`."""


def decode_response(body: bytes, headers: Headers = ()) -> Response | Failure:
    """A whole answer."""
    try:
        document = json.loads(body)
    except MalformedJSON:
        what = "an empty body" if not body.strip() else "no JSON"
        return invalid(f"upstream answered with {what}")
    if not isinstance(document, Mapping):
        return invalid("upstream answered with JSON that is no object")
    if document.get("type") == "error" or document.get("error"):
        return decode_error(document.get("error"), Stage.BEFORE_OUTPUT, headers=headers)
    content = document.get("content")
    if not isinstance(content, list):
        return invalid("upstream answered without content")
    return _decode(document, decode_blocks(content, inputs_of_answer(body)))


def has_calls(parts: Sequence[Part]) -> bool:
    """True if the client is asked to run a tool."""
    return any(map(is_client_call, parts))


def is_unreadable(part: Part) -> bool:
    """True for a call that the client should run, and cannot: it has no id or no name."""
    if isinstance(part, OpaquePart):
        return is_call_of(part.document)
    if not isinstance(part, ToolCallPart) or part.executor is not Executor.CLIENT:
        return False
    return not (part.call_id and part.name)


def _decode(document: Mapping[str, Json], parts: tuple[Part, ...]) -> Response | Failure:
    if any(map(is_unreadable, parts)):
        return invalid("upstream's answer holds a tool call that cannot be read")
    values, residue = take(document, "type", "role", "id", "model", "provider", "content", "usage")
    ending = {key: residue.pop(key) for key in ENDING if key in residue}
    word, calls = text(ending.get("stop_reason")), has_calls(parts)
    reason = canonical_reason(word, has_calls=calls)
    if word in CANONICAL:
        del ending["stop_reason"]
    if reason in WHOLE:
        parts = tuple(map(with_arguments, parts))
    choice = Choice(parts=parts, reason=reason, native_reason=word, ext=keep(ending))
    usage = decode_usage(values.get("usage"))
    if usage is None and "usage" in values:
        residue["usage"] = values["usage"]
    return Response(
        id=text(values.get("id")),
        model=text(values.get("model")),
        served_by=text(values.get("provider")),
        choices=(choice,),
        usage=usage,
        ext=keep({**residue, **_odd(values)}),
    )


def _odd(values: Mapping[str, Json]) -> Document:
    """Members with a value that is none of what they mostly hold."""
    usual = {"type": "message", "role": "assistant"}
    return {key: values[key] for key, word in usual.items() if values.get(key, word) != word}


def encode_response(response: Response) -> tuple[Document, tuple[Loss, ...]]:
    """The whole answer as a document, and what this dialect cannot say of it."""
    choice = response.choices[0] if response.choices else Choice()
    blocks, losses = encode_parts(choice.parts, f"/choices/{choice.index}", to_client=True)
    losses += [
        Loss(f"/choices/{other.index}", "dropped", "a messages answer holds one choice")
        for other in response.choices[1:]
    ]
    document = head(response.id, response.model, response.served_by)
    document.update(give(response.ext))
    document["content"] = blocks
    if not is_native(choice.ext):
        document["stop_sequence"] = None
    document.update(give(choice.ext))
    if choice.reason is not None and document.get("stop_reason") is None:
        document["stop_reason"] = wire_reason(
            choice.reason, choice.native_reason, has_calls=has_calls(choice.parts)
        )
    document.setdefault("stop_reason", None)
    if response.usage is not None or not is_native(response.ext):
        document["usage"] = encode_usage(response.usage)
    return document, tuple(losses)


def head(id_: str | None, model: str | None, served_by: str | None) -> Document:
    """The members a message begins with, as far as they are known."""
    members: Document = {
        "id": id_,
        "type": "message",
        "role": "assistant",
        "model": model,
        "provider": served_by,
    }
    return {key: value for key, value in members.items() if value is not None}
